//! What runs on the far side of the socket.

mod examples;
mod skills;
