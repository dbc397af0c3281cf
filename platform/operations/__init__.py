"""What people do with a stack, and what they ask of it before it is there."""
