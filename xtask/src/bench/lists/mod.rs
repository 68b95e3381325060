//! Long lists: from the start to a served playlist, what that takes, and what a refresh costs those who watch.

mod long;
mod made;
mod usual;

pub(super) use long::measure as long;
pub(super) use usual::measure as usual;
