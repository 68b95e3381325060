//! The double itself, tested by a plain client and by ffmpeg.

mod client;
mod faults;
mod limits;
mod lists;
mod media;
