//! The initialisation segment: `ftyp` and a movie header without samples (4.3, 8.2 to 8.8).

use super::form::Form;
use super::out::{boxed, full, put, put32};
use mpegts::Track;

/// The matrix that changes nothing (8.2.2): 16.16, 16.16 and 2.30.
const UNITY: [u8; 36] = [
    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0,
    0, 0,
];

/// The time scale of the movie, in which nothing is told.
const MOVIE_SCALE: u32 = 1_000;

/// The brands it keeps to: movie fragments with their base at their header (iso5), and signed offsets (iso6).
const BRANDS: [&[u8; 4]; 3] = [b"iso5", b"iso6", b"mp41"];

/// Writes the initialisation segment of tracks: each with its number.
pub(super) fn init<'a>(tracks: impl Iterator<Item = (u32, &'a Track, &'a Form)> + Clone) -> Vec<u8> {
    let mut out = Vec::new();
    boxed(&mut out, b"ftyp", |out| {
        put(out, b"iso6");
        put32(out, 0);
        BRANDS.iter().for_each(|brand| put(out, *brand));
    });
    boxed(&mut out, b"moov", |out| {
        let next = tracks
            .clone()
            .map(|(number, ..)| number)
            .max()
            .unwrap_or_default()
            + 1;
        full(out, b"mvhd", (0, 0), |out| {
            put(out, &[0; 8]);
            put32(out, MOVIE_SCALE);
            put32(out, 0); // The duration is that of the fragments.
            put(out, &[0, 1, 0, 0, 1, 0]); // rate 1.0, volume 1.0
            put(out, &[0; 10]);
            put(out, &UNITY);
            put(out, &[0; 24]);
            put32(out, next);
        });
        for (number, track, form) in tracks.clone() {
            boxed(out, b"trak", |out| trak(number, track, form, out));
        }
        boxed(out, b"mvex", |out| {
            for (number, ..) in tracks {
                full(out, b"trex", (0, 0), |out| {
                    // sample_description_index; duration, size and flags are told with each sample.
                    [number, 1, 0, 0, 0].iter().for_each(|value| put32(out, *value));
                });
            }
        });
    });
    out
}

fn trak(number: u32, track: &Track, form: &Form, out: &mut Vec<u8>) {
    let size = form.size();
    // Enabled, in the movie (8.3.2).
    full(out, b"tkhd", (0, 3), |out| {
        put(out, &[0; 8]);
        put32(out, number);
        put(out, &[0; 4 + 4 + 8]); // reserved, duration, reserved
        // layer, alternate_group 1 of all sounds, volume 1.0 of a sound.
        let sound: [u8; 8] = if size.is_some() {
            [0; 8]
        } else {
            [0, 0, 0, 1, 1, 0, 0, 0]
        };
        put(out, &sound);
        put(out, &UNITY);
        let (width, height) = size.map_or((0, 0), |size| (size.width, size.height));
        put32(out, u32::from(width) << 16);
        put32(out, u32::from(height) << 16);
    });
    boxed(out, b"mdia", |out| {
        full(out, b"mdhd", (0, 0), |out| {
            put(out, &[0; 8]);
            put32(out, form.scale());
            put32(out, 0);
            let letters = track
                .language
                .unwrap_or(*b"und")
                .map(|letter| u16::from(letter & 0x1F));
            let packed = letters.into_iter().fold(0, |packed, letter| packed << 5 | letter);
            put(out, &packed.to_be_bytes());
            put(out, &[0; 2]);
        });
        full(out, b"hdlr", (0, 0), |out| {
            put(out, &[0; 4]);
            put(out, if form.is_picture() { b"vide" } else { b"soun" });
            put(out, &[0; 12 + 1]); // reserved, no name
        });
        boxed(out, b"minf", |out| {
            if form.is_picture() {
                full(out, b"vmhd", (0, 1), |out| put(out, &[0; 8]));
            } else {
                full(out, b"smhd", (0, 0), |out| put(out, &[0; 4]));
            }
            boxed(out, b"dinf", |out| {
                full(out, b"dref", (0, 0), |out| {
                    put32(out, 1);
                    full(out, b"url ", (0, 1), |_| ()); // In the same file.
                });
            });
            boxed(out, b"stbl", |out| {
                full(out, b"stsd", (0, 0), |out| {
                    put32(out, 1);
                    form.write(out);
                });
                // All samples are in fragments.
                full(out, b"stts", (0, 0), |out| put32(out, 0));
                full(out, b"stsc", (0, 0), |out| put32(out, 0));
                full(out, b"stsz", (0, 0), |out| put(out, &[0; 8]));
                full(out, b"stco", (0, 0), |out| put32(out, 0));
            });
        });
    });
}
