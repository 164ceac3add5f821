//! The life of the daemon, and its sudden ends.

mod background_loops;
mod clock_steps;
mod crash_points;
mod kill9;
mod lifecycle;
mod own_files;
mod random_kills;
