//! Ingest on real files and a real database: what a rollout becomes, however it grows, and whatever happens
//! to it or to the daemon meanwhile.

mod compressed;
mod damage;
mod files;
mod receipts;
mod routing;
mod splits;
mod world;
