//! H.264 below the access unit: parameter sets, slice headers, and the numbers in them that count from the last IDR
//! picture, moved where an encoder's IDR picture is not the one that our stream begins with.
//! Where decoding may start is told elsewhere, in `video`. All clause numbers are those of ITU-T H.264.

mod rbsp;
mod rebase;
mod sets;
mod slice;

pub(super) use rebase::Rebase;
pub(super) use sets::Sps;

#[cfg(test)]
mod tests;
