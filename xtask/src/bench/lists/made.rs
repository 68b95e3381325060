//! Lists as long as providers ship them, from a seed: the same bytes in every run.
//!
//! Names, quoting and attributes follow what lists in the field hold: commas and quotes in names, superscripts, prefixes
//! of countries, values without quotes or in single ones, channel numbers with a point, options between the lines. No
//! two entries share a name, so that as many channels come out.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

/// What every list grows from.
const SEED: u64 = 0x6d61_696e_7374_656d;

/// Of a hundred entries, so many are live; the rest are films and, in an M3U, some episodes.
const LIVE_PERCENT: u64 = 5;

/// Categories of an account.
const CATEGORIES: u64 = 400;

/// Whose addresses the entries have. Nobody asks it for anything.
const PROVIDER: &str = "line.provider.example.com:8080";

/// Numbers from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        items.get(index).copied().unwrap_or_default()
    }
}

const WORDS: [&str; 32] = [
    "Sport",
    "News",
    "Cinema",
    "Kids",
    "Planet",
    "Gold",
    "Premium",
    "Discovery",
    "Music",
    "Family",
    "Night",
    "River",
    "Mountain",
    "Silent",
    "Last",
    "Return",
    "House",
    "City",
    "Summer",
    "Winter",
    "Road",
    "Secret",
    "Island",
    "Story",
    "Life",
    "Dark",
    "Bright",
    "Golden",
    "Broken",
    "Lost",
    "First",
    "Final",
];

/// One entry in ten holds some of these.
const FOREIGN: [&str; 10] = [
    "Téléfoot",
    "ᴴᴰ",
    "ᴿᴬᵂ ⁶⁰",
    "Москва",
    "العربية",
    "Español",
    "日本",
    "✦●✦",
    "Über",
    "│ UK │",
];

const COUNTRIES: [&str; 12] = [
    "UK| ", "US: ", "FR - ", "|DE| ", "ES ", "[IT] ", "NL: ", "", "", "", "", "",
];

const QUALITIES: [&str; 8] = ["HD", "FHD", "4K", "SD", "HEVC", "1080p", "", ""];

/// One entry, before it is written in either form.
struct Made {
    number: u32,
    kind: &'static str,
    name: String,
    group: String,
    logo: String,
    guide: String,
}

fn make(numbers: &mut Numbers, number: u32, kind: &'static str) -> Made {
    let mut name = String::from(numbers.of(&COUNTRIES));
    for _ in 0..2 + numbers.below(3) {
        name.push_str(numbers.of(&WORDS));
        name.push(' ');
    }
    match numbers.below(40) {
        0..4 => {
            name.push_str(numbers.of(&FOREIGN));
            name.push(' ');
        }
        4 => name.push_str("the \"Best\" of "),
        5 => name.push_str("One, Two, "),
        6 => name.push_str("Tom's & Jerry's "),
        _ => {}
    }
    name.push_str(&format!("{number} {}", numbers.of(&QUALITIES)));
    let name = name.trim().to_owned();
    let group = format!(
        "{}{} {}",
        numbers.of(&COUNTRIES),
        numbers.of(&WORDS),
        // Groups come in runs: lists are sorted by them.
        number / 700
    );
    let logo = format!(
        "https://images{}.example.com/t/p/w600_and_h900_bestv2/{:016x}{:08x}.jpg",
        numbers.below(4),
        numbers.next(),
        numbers.below(1 << 32)
    );
    let guide = match numbers.below(4) {
        0 => String::new(),
        _ => format!("{}.{number}.example", numbers.of(&WORDS).to_lowercase()),
    };
    Made {
        number,
        kind,
        name,
        group,
        logo,
        guide,
    }
}

/// An M3U of `entries`, about 400 bytes each. Kept for the next run.
pub(super) fn m3u(folder: &Path, entries: u32) -> Result<PathBuf> {
    let path = folder.join(format!("long-{entries}.m3u"));
    kept(&path, |out| {
        let mut numbers = Numbers(SEED);
        writeln!(
            out,
            "#EXTM3U url-tvg=\"http://{PROVIDER}/xmltv.php?username=bench&password=bench\""
        )?;
        for number in 1..=entries {
            let kind = match numbers.below(100) {
                0..LIVE_PERCENT => "live",
                LIVE_PERCENT..20 => "series",
                _ => "movie",
            };
            let made = make(&mut numbers, number, kind);
            m3u_entry(out, &mut numbers, &made)?;
        }
        Ok(())
    })?;
    Ok(path)
}

/// What `get_live_streams` and `get_vod_streams` of a panel answer: `entries` in all, about 330 bytes each.
pub(super) fn xtream(folder: &Path, entries: u32) -> Result<[PathBuf; 2]> {
    let live = u32::try_from(u64::from(entries) * LIVE_PERCENT / 100)?;
    let mut numbers = Numbers(SEED);
    let live_path = folder.join(format!("long-{entries}-live.json"));
    let film_path = folder.join(format!("long-{entries}-films.json"));
    kept(&live_path, |out| {
        json_list(out, 1..=live, |number| json_entry(&mut numbers, number, "live"))
    })?;
    let mut numbers = Numbers(SEED + 1);
    kept(&film_path, |out| {
        json_list(out, live + 1..=entries, |number| {
            json_entry(&mut numbers, number, "movie")
        })
    })?;
    Ok([live_path, film_path])
}

/// The categories that the entries of [`xtream`] name.
pub(super) fn categories() -> String {
    let all = (1..=CATEGORIES)
        .map(|id| format!("{{\"category_id\":\"{id}\",\"category_name\":\"Group {id}\",\"parent_id\":0}}"));
    format!("[{}]", all.collect::<Vec<_>>().join(","))
}

/// Writes a file unless an earlier run has.
fn kept(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    let making = path.with_extension("making");
    let mut out = BufWriter::new(File::create(&making)?);
    write(&mut out)?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(std::fs::rename(&making, path)?)
}

fn m3u_entry(out: &mut impl Write, numbers: &mut Numbers, made: &Made) -> Result<()> {
    let Made {
        number,
        kind,
        name,
        group,
        logo,
        guide,
    } = made;
    let quoted = name.replace('"', "'");
    write!(out, "#EXTINF:-1 tvg-id=\"{guide}\" ")?;
    match numbers.below(50) {
        0 => write!(out, "tvg-name='{}' ", quoted.replace('\'', ""))?,
        1 => write!(out, "tvg-name=\"{name}\" ")?,
        _ => write!(out, "tvg-name=\"{quoted}\" ")?,
    }
    match numbers.below(50) {
        0 => write!(out, "tvg-chno=\"{}.1\" ", number % 1000)?,
        1 => write!(out, "catchup=\"xc\" catchup-days=\"7\" ")?,
        2 => write!(out, "radio=true ")?,
        _ => {}
    }
    write!(
        out,
        "tvg-logo=\"{logo}?width=600&height=900&quality=85&format=webp\" "
    )?;
    match numbers.below(50) {
        0 => writeln!(out, ",{quoted}\n#EXTGRP:{group}")?,
        _ => writeln!(out, "group-title=\"{group}\",{quoted}")?,
    }
    if numbers.below(100) == 0 {
        writeln!(out, "#EXTVLCOPT:http-user-agent=IPTVSmartersPlayer")?;
    }
    let ending = if *kind == "live" { "ts" } else { "mkv" };
    let end = if numbers.below(50) == 0 { "\r\n" } else { "\n" };
    write!(
        out,
        "http://{PROVIDER}/{kind}/bench-user-0123456789/Xk29vLqP4tQm81ZsEw07/{}.{ending}{end}",
        1_000_000 + number
    )?;
    Ok(())
}

fn json_list(
    out: &mut impl Write,
    numbers: std::ops::RangeInclusive<u32>,
    mut entry: impl FnMut(u32) -> String,
) -> Result<()> {
    let first = *numbers.start();
    for number in numbers {
        write!(
            out,
            "{}{}",
            if number == first { "[" } else { "," },
            entry(number)
        )?;
    }
    Ok(write!(out, "]")?)
}

/// As PHP writes it: slashes escaped, what is not ASCII mostly too, numbers as text and as numbers.
fn json_entry(numbers: &mut Numbers, number: u32, kind: &'static str) -> String {
    let Made {
        name, logo, guide, ..
    } = make(numbers, number, kind);
    let escaped = if numbers.below(2) == 0 {
        escape(&name)
    } else {
        name.replace('"', "\\\"")
    };
    let id = match numbers.below(4) {
        0 => format!("\"{number}\""),
        _ => number.to_string(),
    };
    let (logo, category) = (logo.replace('/', "\\/"), 1 + numbers.below(CATEGORIES));
    let added = 1_600_000_000 + numbers.below(100_000_000);
    let of_kind = if kind == "live" {
        let guide = if guide.is_empty() {
            "null".to_owned()
        } else {
            format!("\"{guide}\"")
        };
        format!("\"epg_channel_id\":{guide},\"tv_archive\":0,\"tv_archive_duration\":\"0\"")
    } else {
        let rating = numbers.below(100);
        format!(
            "\"rating\":\"{}.{}\",\"rating_5based\":{},\"container_extension\":\"mkv\"",
            rating / 10,
            rating % 10,
            rating / 20
        )
    };
    format!(
        "{{\"num\":{number},\"name\":\"{escaped}\",\"stream_type\":\"{kind}\",\"stream_id\":{id},\"stream_icon\":\"{logo}\",{of_kind},\"added\":\"{added}\",\"is_adult\":\"0\",\"category_id\":\"{category}\",\"category_ids\":[{category}],\"custom_sid\":\"\",\"direct_source\":\"\"}}"
    )
}

/// `text` as the inside of a JSON string of ASCII.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '/' => escaped.push_str("\\/"),
            c if c.is_ascii() => escaped.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}
