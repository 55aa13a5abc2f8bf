//! What hostile, broken and huge input does: nothing worse than a message, in a time that grows with the input.

mod deep;
mod drive;
mod fuzz;
mod inputs;
mod linear;
mod mutate;
