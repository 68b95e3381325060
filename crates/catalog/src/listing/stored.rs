//! What the store keeps of a list on disk: the entries as they are in memory, number by number and text by text.
//!
//! Secrets are in the clear: for files only the owner can read. The bytes carry no checksum; whoever keeps them does that.
//! Damaged ones make an error or entries that say something else, never a panic.

use std::io::{self, Read, Write};

use super::entries::{Entries, OWN, Place, Record};
use super::{Catchup, Extra, Header, Kind};
use crate::secret::Secret;

/// What the bytes begin with. Other numbers are other forms, which are not read.
const FORM: [u8; 8] = *b"mainlst1";

/// Longest text or piece of text that is read, in bytes.
const TEXT_BYTES_MAX: u32 = 64 << 20;

/// The attributes of [`Extra`] that are one text each.
const EXTRA_TEXTS: usize = 7;

impl Entries {
    /// Writes all entries, secrets included.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&FORM)?;
        put_count(out, self.pieces.len())?;
        for piece in &self.pieces {
            put_text(out, piece)?;
        }
        put_count(out, self.shared.len())?;
        for place in &self.shared {
            for number in [place.piece, place.start, place.length] {
                put(out, number)?;
            }
        }
        put_count(out, self.extras.len())?;
        for extra in &self.extras {
            put_extra(out, extra)?;
        }
        put_count(out, self.records.len())?;
        self.records.iter().try_for_each(|record| put_record(out, record))
    }

    /// Reads what [`Entries::write`] wrote.
    ///
    /// # Errors
    /// Those of `input`; the bytes are no entries.
    pub fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut form = [0; FORM.len()];
        input.read_exact(&mut form)?;
        if form != FORM {
            return Err(damaged("not a list of this form"));
        }
        let mut entries = Self::default();
        for _ in 0..get(input)? {
            entries.pieces.push(get_text(input)?);
        }
        for _ in 0..get(input)? {
            entries.shared.push(Place {
                piece: get(input)?,
                start: get(input)?,
                length: get(input)?,
            });
        }
        for _ in 0..get(input)? {
            entries.extras.push(get_extra(input)?);
        }
        for _ in 0..get(input)? {
            entries.records.push(get_record(input)?);
        }
        entries.finish();
        Ok(entries)
    }
}

fn put_record(out: &mut impl Write, record: &Record) -> io::Result<()> {
    for number in [
        record.piece,
        record.start,
        record.group,
        record.logo_head,
        record.url_head,
        record.extra,
    ] {
        put(out, number)?;
    }
    for length in record.lengths {
        out.write_all(&length.to_le_bytes())?;
    }
    let kind = match record.kind {
        Kind::Live => 0,
        Kind::Film => 1,
        Kind::Episode => 2,
    };
    out.write_all(&[kind, u8::from(record.is_named_as_titled)])
}

/// Bytes of one record: six numbers, the lengths of its texts, two bytes of flags.
const RECORD_BYTES: usize = 6 * 4 + OWN * 2 + 2;

fn get_record(input: &mut impl Read) -> io::Result<Record> {
    let mut bytes = [0; RECORD_BYTES];
    input.read_exact(&mut bytes)?;
    // From memory: this is done for every entry when the program starts.
    let mut bytes = &bytes[..];
    let [piece, start, group, logo_head, url_head, extra] = get_numbers(&mut bytes)?;
    let mut record = Record {
        piece,
        start,
        lengths: Default::default(),
        group,
        logo_head,
        url_head,
        extra,
        kind: Kind::Live,
        is_named_as_titled: false,
    };
    for length in &mut record.lengths {
        *length = u16::from_le_bytes(get_bytes(&mut bytes)?);
    }
    let [kind, is_named_as_titled] = get_bytes(&mut bytes)?;
    record.kind = match kind {
        0 => Kind::Live,
        1 => Kind::Film,
        2 => Kind::Episode,
        _ => return Err(damaged("an unknown kind of entry")),
    };
    record.is_named_as_titled = is_named_as_titled != 0;
    Ok(record)
}

/// The names under which the parts of [`Catchup`] stand among the other attributes: no list can give one of them.
const CATCHUP: [&str; 4] = ["\0mode", "\0days", "\0source", "\0correction"];

fn catchup_texts(catchup: &Catchup) -> [String; 4] {
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    [
        text(&catchup.mode),
        catchup.days.map(|days| days.to_string()).unwrap_or_default(),
        catchup.source.as_ref().map_or("", Secret::expose).to_owned(),
        text(&catchup.correction),
    ]
}

fn set_catchup(catchup: &mut Catchup, which: usize, value: String) {
    match which {
        0 => catchup.mode = Some(value.into()),
        1 => catchup.days = value.parse().ok(),
        2 => catchup.source = Some(value.into()),
        _ => catchup.correction = Some(value.into()),
    }
}

/// Absent texts are written as empty ones: nothing tells them apart.
fn put_extra(out: &mut impl Write, extra: &Extra) -> io::Result<()> {
    let texts: [&Option<Box<str>>; EXTRA_TEXTS] = [
        &extra.tvg_language,
        &extra.tvg_country,
        &extra.radio,
        &extra.category,
        &extra.parent_code,
        &extra.audio_track,
        &extra.aspect_ratio,
    ];
    for text in texts {
        put_text(out, text.as_deref().unwrap_or_default())?;
    }
    put_text(out, extra.tvg_url.as_ref().map_or("", Secret::expose))?;
    let catchup = extra.catchup.as_deref().map(catchup_texts).unwrap_or_default();
    let catchup = CATCHUP.iter().zip(&catchup);
    let catchup: Vec<_> = catchup.filter(|(_, value)| !value.is_empty()).collect();
    put_count(out, extra.other.len() + catchup.len())?;
    for (name, value) in &extra.other {
        put_text(out, name)?;
        put_text(out, value)?;
    }
    for (name, value) in catchup {
        put_text(out, name)?;
        put_text(out, value)?;
    }
    put_count(out, extra.headers.len())?;
    for Header { name, value } in &extra.headers {
        put_text(out, name)?;
        put_text(out, value.expose())?;
    }
    Ok(())
}

fn get_extra(input: &mut impl Read) -> io::Result<Extra> {
    let mut extra = Extra::default();
    let texts: [&mut Option<Box<str>>; EXTRA_TEXTS] = [
        &mut extra.tvg_language,
        &mut extra.tvg_country,
        &mut extra.radio,
        &mut extra.category,
        &mut extra.parent_code,
        &mut extra.audio_track,
        &mut extra.aspect_ratio,
    ];
    for text in texts {
        let found = get_text(input)?;
        *text = (!found.is_empty()).then(|| found.into());
    }
    extra.tvg_url = Some(Secret::from(get_text(input)?)).filter(|url| !url.is_empty());
    for _ in 0..get(input)? {
        let (name, value) = (get_text(input)?, get_text(input)?);
        match CATCHUP.iter().position(|known| *known == name) {
            Some(which) => set_catchup(extra.catchup.get_or_insert_default(), which, value),
            None => extra.other.push((name.into(), value.into())),
        }
    }
    for _ in 0..get(input)? {
        extra.headers.push(Header {
            name: get_text(input)?.into(),
            value: get_text(input)?.into(),
        });
    }
    Ok(extra)
}

fn put(out: &mut impl Write, number: u32) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn put_count(out: &mut impl Write, count: usize) -> io::Result<()> {
    put(out, u32::try_from(count).map_err(io::Error::other)?)
}

fn put_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    put_count(out, text.len())?;
    out.write_all(text.as_bytes())
}

fn get(input: &mut impl Read) -> io::Result<u32> {
    Ok(u32::from_le_bytes(get_bytes(input)?))
}

fn get_bytes<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn get_numbers<const N: usize>(input: &mut impl Read) -> io::Result<[u32; N]> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = get(input)?;
    }
    Ok(numbers)
}

fn get_text(input: &mut impl Read) -> io::Result<String> {
    let length = get(input)?;
    if length > TEXT_BYTES_MAX {
        return Err(damaged("a text too long"));
    }
    let mut text = String::new();
    // Grows with what comes, whatever the length says.
    let read = input.take(length.into()).read_to_string(&mut text)?;
    if u32::try_from(read) != Ok(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text)
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
