# Two images: `worker` (the pipeline) and `server` (MLflow and Prefect servers).
#   docker build --target worker -t hmu-worker .
#   docker build --target worker -t hmu-worker-gpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/hmu/bin:$PATH
RUN python -m venv /opt/hmu
WORKDIR /src
COPY constraints.txt constraints-torch.txt ./
# Every file but torch's has the hash of constraints.txt. Extras included: PostgreSQL, S3-compatible stores, accounts.
RUN pip install --require-hashes --no-deps --requirement constraints.txt
# torch alone comes from the index that decides between CPU and CUDA; of its needs only CUDA's libraries are left.
RUN pip install --no-deps --index-url ${TORCH_INDEX} --requirement constraints-torch.txt \
    && pip install --requirement constraints-torch.txt
COPY pyproject.toml README.md LICENSE ./
COPY hmu_tasks hmu_tasks
COPY flows flows
RUN pip install --no-deps --no-build-isolation . && pip check

FROM ${PYTHON_IMAGE} AS worker
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 hmu \
    && useradd --uid 1000 --gid 1000 --create-home hmu \
    && install --directory --owner hmu --group hmu /workspace
COPY --from=build /opt/hmu /opt/hmu
ENV PATH=/opt/hmu/bin:$PATH PYTHONUNBUFFERED=1 HOME=/home/hmu LOGNAME=hmu \
    DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false
USER hmu
# The checkout is mounted here: its own code runs, the image brings what that needs.
WORKDIR /workspace
CMD ["python", "-m", "flows.pipeline"]

FROM ${PYTHON_IMAGE} AS server
RUN groupadd --gid 1000 hmu \
    && useradd --uid 1000 --gid 1000 --create-home hmu \
    && install --directory --owner hmu --group hmu /var/lib/mlflow /var/lib/mlflow/artifacts /var/lib/prefect
COPY --from=build /opt/hmu /opt/hmu
ENV PATH=/opt/hmu/bin:$PATH PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false
USER hmu
WORKDIR /home/hmu
CMD ["prefect", "server", "start", "--host", "0.0.0.0"]
