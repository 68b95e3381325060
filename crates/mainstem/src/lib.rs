//! The parts of the mainstem program. [`app`] wires them; the table of what each never knows is in `ARCHITECTURE.md`.
#![forbid(unsafe_code)]

pub mod api;
pub mod app;
pub mod audience;
mod background;
pub mod channels;
pub mod cli;
pub mod config;
pub mod health;
pub mod library;
pub mod links;
mod logging;
pub mod output;
pub mod server;
pub mod signatures;
pub mod slates;
pub mod slot;
pub mod source;
pub mod sources;
pub mod store;
pub mod trial;
pub mod upstream;
