//! One live playlist from chunks to text: what is cut is listed when its time comes, and a playlist that would stand still
//! gets what there is. Time is a [`Duration`] since any origin the caller keeps to.

use std::sync::Arc;
use std::time::Duration;

use super::sounds::Sounds;
use super::{Bounds, Chunk, Numbers, Rendition, Segment, Segmenter, Window};
use crate::write::{self, File, Named};

/// Target durations a playlist lists where nobody says.
const WINDOW_TARGETS: u64 = 8;

/// What is wanted of a live playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// How long a segment is at least.
    pub target: Duration,
    /// What is listed; absent, eight target durations.
    pub span: Option<Duration>,
    /// Bytes of segments that are listed or were.
    pub bytes: usize,
}

/// A live playlist and its segments.
#[derive(Debug)]
pub struct Live {
    form: Form,
    segmenter: Segmenter,
    sounds: Sounds,
    /// From the first segment on.
    window: Option<Window>,
}

impl Live {
    /// An empty one, numbered from `numbers` on; see [`Segmenter::new`].
    #[must_use]
    pub fn new(form: Form, numbers: Numbers, goes_on: bool) -> Self {
        Self {
            form,
            segmenter: Segmenter::new(form.target, numbers, goes_on),
            sounds: Sounds::default(),
            window: None,
        }
    }

    /// The playlist had segments of MP4 before this: it stays with what that carries.
    pub fn keep_to_mp4(&mut self) {
        self.sounds.keep_to_mp4();
    }

    /// Players know these renditions from before this: each goes on from the first segment, whatever the source has.
    pub fn keep_renditions(&mut self, renditions: &[Rendition]) {
        self.sounds.keep(renditions);
    }

    /// The next chunk, which came at `time_of_day`, counted from the Unix epoch.
    pub fn push(&mut self, chunk: &Chunk, time_of_day: Duration) {
        self.segmenter.push(chunk, time_of_day);
    }

    /// Lists what is due, and lets go of what is past; says whether there is a new version of the playlist.
    /// Each segment is listed as `pack` leaves it.
    pub fn update(&mut self, now: Duration, mut pack: impl FnMut(&mut Segment)) -> bool {
        self.take(&mut pack);
        if let Some(window) = &self.window
            && !window.waits()
            && window.owed_at().is_some_and(|at| at <= now)
        {
            self.segmenter.cut_now();
            self.take(&mut pack);
        }
        self.window.as_mut().is_some_and(|window| window.update(now))
    }

    /// Other bounds of bytes hold from the next segment on.
    pub fn set_bytes(&mut self, bytes: usize) {
        self.form.bytes = bytes;
        if let Some(window) = &mut self.window {
            window.set_bytes(bytes);
        }
    }

    /// When [`Self::update`] has something to do, even if nothing comes.
    #[must_use]
    pub fn due(&self, now: Duration) -> Option<Duration> {
        let window = self.window.as_ref()?;
        // What was owed already is paid with what comes next.
        let owed = window.owed_at().filter(|at| *at > now && !window.waits());
        window.due().into_iter().chain(owed).min()
    }

    /// The media playlist; empty before there is a segment. `uri` says where things are.
    #[must_use]
    pub fn media(&self, uri: impl Fn(Named<'_>) -> String) -> String {
        let window = self.window.as_ref();
        window.map_or_else(String::new, |window| write::media(window, File::Main, uri))
    }

    /// The sounds to choose from besides the first. One that was there once stays, in its place.
    pub fn renditions(&self) -> impl Iterator<Item = &Rendition> {
        self.sounds.renditions()
    }

    /// The media playlist of the rendition in that place: from the first segment on that has it.
    #[must_use]
    pub fn rendition(&self, place: usize, uri: impl Fn(Named<'_>) -> String) -> String {
        let window = self.window.as_ref();
        window.map_or_else(String::new, |window| {
            write::media(window, File::Sound(place), uri)
        })
    }

    /// The multivariant playlist, with one variant; empty before there is a segment. `uri` says where the media playlist
    /// is, or that of a rendition.
    #[must_use]
    pub fn multivariant(&self, uri: impl Fn(Option<&Rendition>) -> String) -> String {
        let renditions: Vec<&Rendition> = self.renditions().collect();
        let window = self.window.as_ref();
        window.map_or_else(String::new, |window| {
            write::multivariant(window, &renditions, uri)
        })
    }

    /// Every segment that can be fetched, by rising number.
    pub fn held(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.window.iter().flat_map(Window::held)
    }

    /// EXT-X-TARGETDURATION, in seconds, once it is fixed.
    #[must_use]
    pub fn target_duration(&self) -> Option<u64> {
        self.segmenter.target_duration()
    }

    /// Where the numbers of a successor go on.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        self.segmenter.numbers()
    }

    fn take(&mut self, pack: &mut impl FnMut(&mut Segment)) {
        let sounds = &mut self.sounds;
        let mut split_and_pack = |segment: &mut Segment| {
            sounds.split(segment);
            segment.pad();
            pack(segment);
        };
        while let Some(segment) = self.segmenter.take(&mut split_and_pack) {
            let target_duration = self.segmenter.target_duration().unwrap_or_default();
            let Form { span, bytes, .. } = self.form;
            let targets = Duration::from_secs(WINDOW_TARGETS * target_duration);
            let span = span.unwrap_or(targets);
            let window = self
                .window
                .get_or_insert_with(|| Window::new(Bounds { span, bytes }, target_duration));
            window.push(segment);
        }
    }
}
