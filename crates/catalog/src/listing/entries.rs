//! The entries of a list in little memory: their text in a few long pieces, what many have in common once.
//!
//! Groups are shared whole. Logos and addresses are shared up to their last `/`: within a list, hosts, accounts and
//! folders repeat, and what differs is a number.

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher as _;

use super::{Extra, Fields, Header, Kind, TEXT_BYTES_MAX};
use crate::id_table::QuickMap;
use crate::secret::StreamUrl;

/// Bytes of text in one piece. Pieces are filled one after the other, so that a growing list is never copied.
const PIECE_BYTES: usize = 1 << 20;

/// So many texts and attributes of one list are kept once each; what comes later is kept with its entry.
const SHARED_MAX: usize = 1 << 17;

/// The number of nothing.
const NONE: u32 = u32::MAX;

/// Texts of an entry of its own, one after the other in its piece.
pub(super) const OWN: usize = 8;
const TITLE: usize = 0;
const TVG_NAME: usize = 1;
const TVG_ID: usize = 2;
const STREAM_KEY: usize = 3;
const TVG_CHNO: usize = 4;
const GROUP: usize = 5;
const LOGO: usize = 6;
/// With the address beside it, where there is one, behind [`BESIDE`]: few lists have any, and an entry pays nothing for it.
const URL: usize = 7;

/// What parts an address from the one beside it: no address holds it.
const BESIDE: char = '\n';

/// A text that several entries have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) piece: u32,
    pub(super) start: u32,
    pub(super) length: u32,
}

/// One entry: where its texts are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) piece: u32,
    pub(super) start: u32,
    pub(super) lengths: [u16; OWN],
    /// Numbers of shared texts, or [`NONE`]: the group, and what logo and address begin with.
    pub(super) group: u32,
    pub(super) logo_head: u32,
    pub(super) url_head: u32,
    pub(super) extra: u32,
    pub(super) kind: Kind,
    /// `tvg-name` is there and is the title.
    pub(super) is_named_as_titled: bool,
}

static BLANK: Record = Record {
    piece: NONE,
    start: 0,
    lengths: [0; OWN],
    group: NONE,
    logo_head: NONE,
    url_head: NONE,
    extra: NONE,
    kind: Kind::Live,
    is_named_as_titled: false,
};

/// What is needed while a list grows.
#[derive(Debug, Clone, Default)]
struct Index {
    /// Numbers of shared texts by their hash.
    texts: QuickMap<u64, u32>,
    /// Numbers of attributes by their hash.
    extras: QuickMap<u64, u32>,
    /// The last group, logo head and address head: lists repeat them line after line.
    last: [u32; 3],
}

/// All entries of a list, in its order.
#[derive(Clone, Default)]
pub struct Entries {
    pub(super) pieces: Vec<String>,
    pub(super) records: Vec<Record>,
    pub(super) shared: Vec<Place>,
    pub(super) extras: Vec<Extra>,
    index: Index,
}

/// One playable entry of a source's list.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    entries: &'a Entries,
    record: &'a Record,
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The entry at a place, from 0.
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        let record = self.records.get(index)?;
        Some(Entry {
            entries: self,
            record,
        })
    }

    /// The entry at a place, or one that says nothing.
    pub(crate) fn get_or_blank(&self, index: usize) -> Entry<'_> {
        let record = self.records.get(index).unwrap_or(&BLANK);
        Entry {
            entries: self,
            record,
        }
    }

    /// The first entry.
    pub fn first(&self) -> Option<Entry<'_>> {
        self.get(0)
    }

    /// All entries.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + Clone {
        let entry = |record| Entry {
            entries: self,
            record,
        };
        self.records.iter().map(entry)
    }

    pub(super) fn push(&mut self, fields: Fields<'_>) {
        let Fields {
            tvg_name,
            title,
            group,
            logo,
            tvg_id,
            kind,
            url,
            direct,
            stream_key,
            tvg_chno,
            extra,
        } = fields;
        let extra = self.share_extra(extra);
        let url = cut(url.expose().split(BESIDE).next().unwrap_or_default());
        let (url_head, url_tail) = split_head(url);
        // What does not fit whole leads nowhere.
        let direct = direct.filter(|direct| {
            let direct = direct.expose();
            !direct.is_empty() && !direct.contains(BESIDE) && url.len() + 1 + direct.len() <= TEXT_BYTES_MAX
        });
        let both = direct.map(|direct| format!("{url_tail}{BESIDE}{}", direct.expose()));
        let texts = Texts {
            title,
            tvg_name: tvg_name.unwrap_or_default(),
            tvg_id: tvg_id.unwrap_or_default(),
            stream_key,
            tvg_chno: tvg_chno.unwrap_or_default(),
            group: group.unwrap_or_default(),
            logo: split_head(cut(logo.unwrap_or_default())),
            url: (url_head, both.as_deref().unwrap_or(url_tail)),
        };
        self.push_texts(&texts, kind, extra);
    }

    pub(super) fn push_copy(&mut self, entry: Entry<'_>) {
        let extra = self.share_extra(entry.extra().clone());
        let texts = Texts {
            title: entry.title(),
            tvg_name: entry.tvg_name().unwrap_or_default(),
            tvg_id: entry.tvg_id().unwrap_or_default(),
            stream_key: entry.own(STREAM_KEY),
            tvg_chno: entry.own(TVG_CHNO),
            group: entry.group().unwrap_or_default(),
            logo: (entry.shared(entry.record.logo_head), entry.own(LOGO)),
            url: (entry.shared(entry.record.url_head), entry.own(URL)),
        };
        self.push_texts(&texts, entry.kind(), extra);
    }

    /// Adds all of `other` at the end, without copying its text.
    pub(super) fn append(&mut self, mut other: Self) {
        let count = |length: usize| u32::try_from(length).unwrap_or(NONE);
        let (pieces, shared) = (count(self.pieces.len()), count(self.shared.len()));
        let extras = count(self.extras.len());
        let moved = |number: u32, by: u32| number.saturating_add(by);
        for place in &mut other.shared {
            place.piece = place.piece.saturating_add(pieces);
        }
        for record in &mut other.records {
            record.piece = record.piece.saturating_add(pieces);
            record.group = moved(record.group, shared);
            record.logo_head = moved(record.logo_head, shared);
            record.url_head = moved(record.url_head, shared);
            record.extra = moved(record.extra, extras);
        }
        self.pieces.append(&mut other.pieces);
        self.shared.append(&mut other.shared);
        self.records.append(&mut other.records);
        self.extras.append(&mut other.extras);
    }

    pub(super) fn finish(&mut self) {
        self.index = Index::default();
        self.records.shrink_to_fit();
        self.shared.shrink_to_fit();
        self.extras.shrink_to_fit();
        if let Some(last) = self.pieces.last_mut() {
            last.shrink_to_fit();
        }
    }

    fn push_texts(&mut self, texts: &Texts<'_>, kind: Kind, extra: u32) {
        let group = self.share(0, texts.group);
        let (logo_head, url_head) = (self.share(1, texts.logo.0), self.share(2, texts.url.0));
        let is_named_as_titled = !texts.tvg_name.is_empty() && texts.tvg_name == texts.title;
        // What could not be shared is the entry's own.
        let unshared = |number: u32, text| if number == NONE { text } else { "" };
        let own: [[&str; 2]; OWN] = [
            [texts.title, ""],
            [if is_named_as_titled { "" } else { texts.tvg_name }, ""],
            [texts.tvg_id, ""],
            [texts.stream_key, ""],
            [texts.tvg_chno, ""],
            [unshared(group, texts.group), ""],
            [unshared(logo_head, texts.logo.0), texts.logo.1],
            [unshared(url_head, texts.url.0), texts.url.1],
        ];
        let own = own.map(|[head, tail]| [cut(head), cut_to(tail, TEXT_BYTES_MAX - cut(head).len())]);
        let needed = own.as_flattened().iter().map(|text| text.len()).sum();
        let (piece, start) = self.room(needed);
        let mut lengths = [0; OWN];
        if let Some(text) = self.pieces.last_mut() {
            for ([head, tail], length) in own.iter().zip(&mut lengths) {
                text.push_str(head);
                text.push_str(tail);
                // Cut to fit above.
                *length = u16::try_from(head.len() + tail.len()).unwrap_or(u16::MAX);
            }
        }
        self.records.push(Record {
            piece,
            start,
            lengths,
            group,
            logo_head,
            url_head,
            extra,
            kind,
            is_named_as_titled,
        });
    }

    /// Where the next `needed` bytes of text go: the number of the last piece, and the place in it.
    fn room(&mut self, needed: usize) -> (u32, u32) {
        let fits = |piece: &String| piece.capacity() - piece.len() >= needed;
        if !self.pieces.last().is_some_and(fits) {
            if let Some(full) = self.pieces.last_mut() {
                full.shrink_to_fit();
            }
            // Short lists are many, and take no whole piece.
            let size = if self.pieces.is_empty() {
                PIECE_BYTES >> 8
            } else {
                PIECE_BYTES
            };
            self.pieces.push(String::with_capacity(size.max(needed)));
        }
        let start = self.pieces.last().map_or(0, String::len);
        let number = |count: usize| u32::try_from(count).unwrap_or(NONE);
        (number(self.pieces.len().saturating_sub(1)), number(start))
    }

    /// The number of a shared text; [`NONE`] where it is empty or there are too many. `slot` remembers the last one.
    fn share(&mut self, slot: usize, text: &str) -> u32 {
        if text.is_empty() {
            return NONE;
        }
        if let Some(&last) = self.index.last.get(slot)
            && self.shared_text(last) == text
        {
            return last;
        }
        let hash = self.index.texts.hasher().hash_one(text);
        let known = self.index.texts.get(&hash).copied();
        let number = match known {
            Some(known) if self.shared_text(known) == text => known,
            // Two texts of one hash: what nobody will live to see costs a little memory.
            Some(_) => return NONE,
            None if self.shared.len() >= SHARED_MAX => return NONE,
            None => {
                let text = cut(text);
                let (piece, start) = self.room(text.len());
                if let Some(last) = self.pieces.last_mut() {
                    last.push_str(text);
                }
                let number = u32::try_from(self.shared.len()).unwrap_or(NONE);
                self.shared.push(Place {
                    piece,
                    start,
                    length: u32::try_from(text.len()).unwrap_or(0),
                });
                self.index.texts.insert(hash, number);
                number
            }
        };
        if let Some(last) = self.index.last.get_mut(slot) {
            *last = number;
        }
        number
    }

    fn share_extra(&mut self, extra: Extra) -> u32 {
        if extra == Extra::default() {
            return NONE;
        }
        let hash = self.index.extras.hasher().hash_one(&extra);
        let place = |number: u32| usize::try_from(number).ok();
        let known = self.index.extras.get(&hash).copied();
        if let Some(known) = known
            && place(known).and_then(|place| self.extras.get(place)) == Some(&extra)
        {
            return known;
        }
        let number = u32::try_from(self.extras.len()).unwrap_or(NONE);
        self.extras.push(extra);
        if self.index.extras.len() < SHARED_MAX {
            self.index.extras.insert(hash, number);
        }
        number
    }

    fn shared_text(&self, number: u32) -> &str {
        let place = usize::try_from(number)
            .ok()
            .and_then(|number| self.shared.get(number));
        place.map_or("", |place| self.text(place.piece, place.start, place.length))
    }

    fn text(&self, piece: u32, start: u32, length: u32) -> &str {
        let (piece, start, length) = (piece as usize, start as usize, length as usize);
        let text = self
            .pieces
            .get(piece)
            .and_then(|piece| piece.get(start..start + length));
        text.unwrap_or_default()
    }
}

/// The texts of an entry, logo and address as head and tail.
struct Texts<'a> {
    title: &'a str,
    tvg_name: &'a str,
    tvg_id: &'a str,
    stream_key: &'a str,
    tvg_chno: &'a str,
    group: &'a str,
    logo: (&'a str, &'a str),
    url: (&'a str, &'a str),
}

impl<'a> Entry<'a> {
    /// What the channel is called and identified by: `tvg-name` if present, else the title.
    pub fn name(self) -> &'a str {
        self.tvg_name().unwrap_or(self.title())
    }

    /// The text after the comma of `#EXTINF`, or Xtream's `name`.
    pub fn title(self) -> &'a str {
        self.own(TITLE)
    }

    /// `tvg-name`.
    pub fn tvg_name(self) -> Option<&'a str> {
        present(if self.record.is_named_as_titled {
            self.title()
        } else {
            self.own(TVG_NAME)
        })
    }

    /// `group-title`, or the Xtream category's name.
    pub fn group(self) -> Option<&'a str> {
        present(if self.record.group == NONE {
            self.own(GROUP)
        } else {
            self.shared(self.record.group)
        })
    }

    /// A logo's URL.
    pub fn logo(self) -> Option<Cow<'a, str>> {
        let (head, tail) = (self.shared(self.record.logo_head), self.own(LOGO));
        match (head, tail) {
            ("", "") => None,
            ("", whole) | (whole, "") => Some(Cow::Borrowed(whole)),
            (head, tail) => Some(Cow::Owned([head, tail].concat())),
        }
    }

    /// `tvg-id`, or Xtream's `epg_channel_id`.
    pub fn tvg_id(self) -> Option<&'a str> {
        present(self.own(TVG_ID))
    }

    /// `tvg-chno`: the channel number, which may be decimal ("5.1") or anything else.
    pub fn tvg_chno(self) -> Option<&'a str> {
        present(self.own(TVG_CHNO))
    }

    /// The provider's own id of the stream.
    pub fn stream_key(self) -> Option<&'a str> {
        present(self.own(STREAM_KEY))
    }

    /// What it plays.
    pub fn kind(self) -> Kind {
        self.record.kind
    }

    /// Where it plays.
    pub fn url(self) -> StreamUrl {
        let tail = self.own(URL);
        let tail = tail.split_once(BESIDE).map_or(tail, |(tail, _)| tail);
        StreamUrl::new([self.shared(self.record.url_head), tail].concat())
    }

    /// Where it plays if it does not play there: an address beside the panel's own.
    pub fn direct(self) -> Option<StreamUrl> {
        let (_, direct) = self.own(URL).split_once(BESIDE)?;
        Some(StreamUrl::new(direct))
    }

    /// The rarer attributes.
    pub fn extra(self) -> &'a Extra {
        static NONE_OF_THEM: Extra = Extra {
            tvg_language: None,
            tvg_country: None,
            tvg_url: None,
            radio: None,
            category: None,
            parent_code: None,
            audio_track: None,
            aspect_ratio: None,
            catchup: None,
            other: Vec::new(),
            headers: Vec::new(),
        };
        let number = usize::try_from(self.record.extra).ok();
        number
            .and_then(|number| self.entries.extras.get(number))
            .unwrap_or(&NONE_OF_THEM)
    }

    /// Headers to send upstream.
    pub fn headers(self) -> &'a [Header] {
        &self.extra().headers
    }

    fn own(self, which: usize) -> &'a str {
        let lengths = &self.record.lengths;
        let before: u32 = lengths.iter().take(which).map(|length| u32::from(*length)).sum();
        let length = lengths.get(which).copied().map_or(0, u32::from);
        self.entries.text(
            self.record.piece,
            self.record.start.saturating_add(before),
            length,
        )
    }

    fn shared(self, number: u32) -> &'a str {
        self.entries.shared_text(number)
    }
}

impl PartialEq for Entry<'_> {
    fn eq(&self, other: &Self) -> bool {
        let texts = |entry: &Self| {
            (
                (entry.title(), entry.tvg_name(), entry.tvg_id()),
                (entry.stream_key(), entry.tvg_chno(), entry.group()),
                (entry.kind(), entry.extra()),
            )
        };
        let both = |entry: &Self| {
            let heads = (
                entry.shared(entry.record.logo_head),
                entry.shared(entry.record.url_head),
            );
            (heads, entry.own(LOGO), entry.own(URL))
        };
        texts(self) == texts(other)
            && (both(self) == both(other)
                || (self.logo() == other.logo()
                    && self.url() == other.url()
                    && self.direct() == other.direct()))
    }
}

impl Eq for Entry<'_> {}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name())
            .field("kind", &self.kind())
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An address up to its last `/`, and the rest. A query may hold a `/` as well, and is no folder.
fn split_head(address: &str) -> (&str, &str) {
    let path = address.split_once('?').map_or(address, |(path, _)| path);
    let end = path.rfind('/').map_or(0, |at| at + 1);
    address.split_at_checked(end).unwrap_or(("", address))
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn cut(text: &str) -> &str {
    cut_to(text, TEXT_BYTES_MAX)
}

fn cut_to(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 44, "{}", size_of::<Record>());
    }

    #[test]
    fn addresses_are_split_at_their_last_folder() {
        for (address, expected) in [
            ("http://h/live/u/p/1.ts", ("http://h/live/u/p/", "1.ts")),
            ("http://h/x?u=a/b", ("http://h/", "x?u=a/b")),
            ("http://h/", ("http://h/", "")),
            ("plain", ("", "plain")),
            ("", ("", "")),
        ] {
            assert_eq!(split_head(address), expected, "{address}");
        }
    }
}
