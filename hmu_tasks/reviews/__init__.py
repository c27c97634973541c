"""What people say of motions that they saw blind: their answers, and what follows from them."""
