//! The tests that drive the built binaries, as one program: it is linked once, and its tests share one
//! process.
//!
//! The modules are named like the rooms of `conveyord/src` that they are about (`docs/architecture.md` lists
//! the rooms). A room with several files of tests has a folder. Beside the rooms there are:
//!
//! - `main_job`: the main job from end to end.
//! - `checkout`: the scripts of the checkout, for setting up, testing and uninstalling.
//! - `clients`: what runs on the far side of the socket: the example clients, and the skills.
//! - `people`: what a person reads on a terminal.
//! - `rules`: what holds for the text of the project, its code and its documents.
//!
//! Nothing here may change the process: no environment variable, no working folder, no umask, no signal
//! handler. A test gives such things to the programs that it starts ([`conveyor_tests::harness::TestEnv`]).

mod attention;
mod bindings;
mod checkout;
mod clients;
mod codex;
mod compat;
mod daemon;
mod dispatch;
mod doctor;
mod drift;
mod feed;
mod finding;
mod ingest;
mod main_job;
mod people;
mod rpc;
mod rules;
mod server;
mod service;
mod sessions;
mod store;
mod supervision;
mod waiting;
mod workers;
