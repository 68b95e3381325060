//! The keys under `slate:`: the operator's own clips, read and checked here so that a bad one is known at the start.

use std::{fs::File, io::Read as _, path::PathBuf};

use mpegts::slate::{CLIP_BYTES_MAX, Message, SlateClip, SlateClipError};

use super::{
    reader::Reader,
    section::{Placed, section},
};
use crate::slates::Slates;

section! {
    /// Own clips for what viewers see while no source delivers: MPEG transport streams with H.264, HEVC or MPEG-2
    /// pictures, shown over and over. A channel whose pictures are of another codec keeps the built-in clip. The clip's
    /// sound is heard where it is coded as the channel's is.
    pub(super) struct SlateKeys {
        /// Shown while no source delivers; a relative path starts at this file's folder.
        offline: Option<Placed<PathBuf>> = None;
        /// Shown while all connections the provider allows are in use.
        limit: Option<Placed<PathBuf>> = None;
        /// Shown when the account has expired.
        expired: Option<Placed<PathBuf>> = None;
    }
}

impl SlateKeys {
    /// Reads the clips; the reader holds a problem for each that cannot be used.
    pub(super) fn build(&self, reader: &mut Reader<'_>) -> Slates {
        let mut slates = Slates::default();
        for message in Message::ALL {
            let path = match message {
                Message::Offline => &self.offline,
                Message::Limit => &self.limit,
                Message::Expired => &self.expired,
            };
            if let Some(path) = path
                && let Some(clip) = read_clip(path, reader)
            {
                slates = slates.with_own(message, clip);
            }
        }
        slates
    }
}

fn read_clip(file: &Placed<PathBuf>, reader: &mut Reader<'_>) -> Option<SlateClip> {
    let path = reader.folder.join(&file.value);
    let mut bytes = Vec::new();
    let most = u64::try_from(CLIP_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = File::open(&path).and_then(|open| open.take(most).read_to_end(&mut bytes));
    if let Err(error) = read {
        reader.problem(file.at, format!("{} cannot be read: {error}", path.display()));
        return None;
    }
    match SlateClip::parse(&bytes) {
        Ok(clip) => Some(clip),
        Err(error) => {
            let hint = match error {
                SlateClipError::NoTransportStream => {
                    "; ffmpeg makes one: ffmpeg -i FILE -c:v libx264 -an OUT.ts"
                }
                _ => "",
            };
            let message = format!("{} cannot be shown as a slate: {error}{hint}", path.display());
            reader.problem(file.at, message);
            None
        }
    }
}
