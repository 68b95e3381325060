//! How large pictures are: the fields of a sequence parameter set that lie before and at the size, and no more.

use super::bits::Bits;
use super::{Codec, PictureSize, h264, hevc};

/// The size of the pictures that a parameter set describes; `None` for any other unit, and for nonsense.
pub(super) fn picture_size(codec: Codec, unit: &[u8]) -> Option<PictureSize> {
    let [first, rest @ ..] = unit else { return None };
    match (codec, first) {
        (Codec::H264, head) if head & 0x1F == 7 => h264::Sps::read(rest)?.size,
        (Codec::Hevc, head) if (head >> 1) & 0x3F == 33 => hevc::Sps::read(rest.get(1..)?)?.size,
        (Codec::Mpeg2Video, 0xB3) => mpeg2(rest),
        _ => None,
    }
}

/// Luma samples cut off a coded picture, in units of `x` and `y` samples.
#[derive(Default)]
pub(super) struct Crop {
    x: u32,
    y: u32,
}

impl Crop {
    /// Left, right, top, bottom behind a flag (H.264 7.3.2.1.1, H.265 7.3.2.2.1).
    pub(super) fn read(bits: &mut Bits<'_>, unit_x: u32, unit_y: u32) -> Option<Self> {
        if !bits.bit()? {
            return Some(Self::default());
        }
        let [left, right, top, bottom] = [
            bits.unsigned()?,
            bits.unsigned()?,
            bits.unsigned()?,
            bits.unsigned()?,
        ];
        Some(Self {
            x: left.checked_add(right)?.checked_mul(unit_x)?,
            y: top.checked_add(bottom)?.checked_mul(unit_y)?,
        })
    }

    pub(super) fn of(self, width: u32, height: u32) -> Option<PictureSize> {
        let width = u16::try_from(width.checked_sub(self.x)?).ok()?;
        let height = u16::try_from(height.checked_sub(self.y)?).ok()?;
        (width > 0 && height > 0).then_some(PictureSize { width, height })
    }
}

/// SubWidthC and SubHeightC (H.264 Table 6-1, H.265 Table 6-1); 1 and 1 where there is no chroma to keep whole.
pub(super) const fn chroma_step(chroma_format_idc: u32) -> (u32, u32) {
    match chroma_format_idc {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    }
}

/// 13818-2 6.2.2.1. The extension's two more bits each are for pictures of 4096 samples and above: no level allows them
/// (Table 8-12).
fn mpeg2(rest: &[u8]) -> Option<PictureSize> {
    let [a, b, c] = rest.first_chunk::<3>()?.map(u32::from);
    Crop::default().of((a << 4) | (b >> 4), ((b & 0x0F) << 8) | c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Xorshift;

    /// As x264, x265 and ffmpeg write them; the sizes are those the encoders were given.
    const SETS: [(Codec, &str, u16, u16); 12] = [
        (
            Codec::H264,
            "6742C028DA01E0089F97011000000300100000030320F1832A",
            1920,
            1080,
        ),
        // Interlaced: half as many rows of macroblock pairs.
        (
            Codec::H264,
            "67640028ACD94078044FDE0220000003002000000643E2C5B2C0",
            1920,
            1080,
        ),
        // 4:2:2 of ten bits.
        (
            Codec::H264,
            "677A000DB6CB40A8CF345E0220000003002000000641E28554",
            326,
            182,
        ),
        // 4:4:4: an odd size is possible.
        (
            Codec::H264,
            "67F4000D919681519E108CC044000003000400000300C83C50AA80",
            321,
            181,
        ),
        (
            Codec::H264,
            "6742C00BD902C4EC0440000003004000000C83C50A92",
            176,
            144,
        ),
        // No chroma.
        (
            Codec::H264,
            "6764001EF3650290BF8F9F016C800000030080000019078B16CB",
            642,
            362,
        ),
        (
            Codec::Hevc,
            "420101016000000300900000030000030078A003C0801107CB965654A4C2F0168080000003008000000C84",
            1920,
            1080,
        ),
        (
            Codec::Hevc,
            "420101022000000300900000030000030096A001E020021C4D965654A4C2F0168080000003008000000C84",
            3840,
            2160,
        ),
        (
            Codec::Hevc,
            "4201010408000003009D0800000300003CB00A880C1C445B6595952930BC05A02000000300200000030321",
            322,
            182,
        ),
        (
            Codec::Hevc,
            "4201010408000003009E0800000300003C9001410183E372CACA94985E02D0100000030010000003019080",
            320,
            180,
        ),
        (Codec::Mpeg2Video, "B32D024013FFFFE018", 720, 576),
        (Codec::Mpeg2Video, "B378043833FFFFE018", 1920, 1080),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| core::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    #[test]
    fn sizes_of_real_parameter_sets() {
        for (codec, hex, width, height) in SETS {
            let size = picture_size(codec, &bytes(hex));
            assert_eq!(size, Some(PictureSize { width, height }), "{codec:?} {hex}");
            for other in [
                Codec::H264,
                Codec::Hevc,
                Codec::Mpeg2Video,
                Codec::OtherVideo(0x10),
            ] {
                assert!(other == codec || picture_size(other, &bytes(hex)).is_none());
            }
        }
    }

    #[test]
    fn sub_layers_with_levels_of_their_own_are_passed_over() {
        // Two sub-layers, the first with profile and level: 96 further bits behind 2 + 14 flags and reserved bits.
        let plain = bytes(SETS[6].1);
        let (head, tail) = plain.split_at(3);
        let general: Vec<u8> = tail.iter().copied().filter(|byte| *byte != 3).take(12).collect();
        let after: Vec<u8> = bytes("A003C0801107CB96").to_vec();
        let mut nested = [&head[..2], &[0x03], &general, &[0xC0, 0x00]].concat();
        nested.extend([0x55; 12]);
        nested.extend(after);
        let size = picture_size(Codec::Hevc, &nested);
        assert_eq!(
            size,
            Some(PictureSize {
                width: 1920,
                height: 1080
            })
        );
    }

    #[test]
    fn mangled_parameter_sets_are_a_size_or_none() {
        let mut random = Xorshift::new(21);
        for _ in 0..50_000 {
            let (codec, hex, ..) = SETS[random.below(SETS.len())];
            let mut unit = bytes(hex);
            for _ in 0..1 + random.below(6) {
                let at = random.below(unit.len());
                unit[at] = [0, 0xFF, random.next().to_le_bytes()[0]][random.below(3)];
            }
            unit.truncate(random.below(unit.len() + 1));
            let size = picture_size(codec, &unit);
            assert!(size.is_none_or(|size| size.width > 0 && size.height > 0));
        }
    }
}
