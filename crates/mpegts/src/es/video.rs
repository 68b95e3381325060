//! Pictures: where decoding may start (H.264 Annex B and clause 7, H.265 clause 7, ISO 13818-2 clause 6).

use super::bits::Bits;
use super::units::until;
use super::{Codec, PictureSize, size};

/// Bytes of parameter sets remembered; real ones take a few hundred.
const PARAMETER_BYTES_MAX: usize = 16 * 1024;

/// What one access unit is to somebody who wants to start decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Decoding may start here.
    pub random_access: bool,
    /// All of it is intra-coded, as far as its first slice tells.
    pub intra: bool,
    /// Nothing after it in decoding order needs anything before it (IDR; BLA and CRA are not).
    pub closed: bool,
    /// An HEVC picture that needs what stood before the random-access point it follows (RASL).
    pub skipped_leading: bool,
    /// Carries all the parameter sets that decoding from here needs.
    pub parameter_sets: bool,
}

/// The parameter sets last seen whole in one access unit, as they stood there.
#[derive(Clone, Debug, Default)]
pub struct ParameterSets {
    bytes: Vec<u8>,
    /// Those of the access unit being looked at; swapped with the others, so that neither is allocated anew.
    fresh: Vec<u8>,
    picture: Option<PictureSize>,
}

impl ParameterSets {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            fresh: Vec::new(),
            picture: None,
        }
    }

    /// Start codes and units; empty before the first were seen.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How large the pictures are that these sets describe; `None` where they do not tell.
    #[must_use]
    pub const fn picture(&self) -> Option<PictureSize> {
        self.picture
    }

    fn look(&mut self) -> Seen<'_> {
        self.fresh.clear();
        Seen {
            kinds: 0,
            cache: self,
        }
    }
}

/// Looks at the access unit in `es` as far as its first slice; remembers parameter sets it carries.
pub fn inspect(codec: Codec, es: &[u8], cache: &mut ParameterSets) -> Access {
    match codec {
        Codec::H264 => h264(es, cache),
        Codec::Hevc => hevc(es, cache),
        Codec::Mpeg2Video => mpeg2(es, cache),
        _ => Access::default(),
    }
}

fn h264(es: &[u8], cache: &mut ParameterSets) -> Access {
    let mut access = Access::default();
    let mut seen = cache.look();
    let mut recovery = false;
    for unit in until(es, |head| matches!(head & 0x1F, 1 | 2 | 5)) {
        let Some((head, body)) = unit.split_first() else {
            continue;
        };
        match head & 0x1F {
            6 => recovery |= recovers_at_once(body),
            7 => seen.add(1, unit),
            8 => seen.add(2, unit),
            1 | 2 | 5 => {
                let idr = head & 0x1F == 5;
                access.intra = idr || first_slice_is_intra(body);
                access.closed = idr;
                access.parameter_sets = seen.keep(1 | 2, Codec::H264);
                let known = access.parameter_sets || !cache.bytes.is_empty();
                access.random_access =
                    known && (idr || (access.intra && (recovery || access.parameter_sets)));
                return access;
            }
            _ => {}
        }
    }
    seen.keep(1 | 2, Codec::H264);
    access
}

/// An SEI with a recovery point message whose recovery_frame_cnt is 0 (H.264 7.3.2.3, D.1.8).
fn recovers_at_once(mut sei: &[u8]) -> bool {
    while let Some((kind, rest)) = ff_coded(sei) {
        let Some((size, rest)) = ff_coded(rest) else {
            return false;
        };
        if kind == 6 {
            // ue(v) 0 is a single 1 bit.
            return rest.first().is_some_and(|byte| byte & 0x80 != 0);
        }
        let Some(next) = rest.get(size..) else {
            return false;
        };
        sei = next;
    }
    false
}

fn ff_coded(mut bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    loop {
        let (byte, rest) = bytes.split_first()?;
        value += usize::from(*byte);
        bytes = rest;
        if *byte != 0xFF {
            return Some((value, rest));
        }
    }
}

/// slice_type I or SI, alone or for the whole picture (H.264 7.4.3, Table 7-6).
fn first_slice_is_intra(slice: &[u8]) -> bool {
    let mut bits = Bits::new(slice);
    let _first_macroblock = bits.unsigned();
    matches!(bits.unsigned(), Some(2 | 4 | 7 | 9))
}

fn hevc(es: &[u8], cache: &mut ParameterSets) -> Access {
    let mut access = Access::default();
    let mut seen = cache.look();
    for unit in until(es, |head| (head >> 1) & 0x3F < 32) {
        let Some(head) = unit.first() else { continue };
        match (head >> 1) & 0x3F {
            32 => seen.add(1, unit),
            33 => seen.add(2, unit),
            34 => seen.add(4, unit),
            kind @ 0..=31 => {
                // Table 7-1: 16 to 21 are random-access pictures, 19 and 20 of them IDR; 8 and 9 are RASL.
                access.intra = (16..=21).contains(&kind);
                access.closed = matches!(kind, 19 | 20);
                access.skipped_leading = matches!(kind, 8 | 9);
                access.parameter_sets = seen.keep(1 | 2 | 4, Codec::Hevc);
                access.random_access = access.intra && (access.parameter_sets || !cache.bytes.is_empty());
                return access;
            }
            _ => {}
        }
    }
    seen.keep(1 | 2 | 4, Codec::Hevc);
    access
}

fn mpeg2(es: &[u8], cache: &mut ParameterSets) -> Access {
    let mut access = Access::default();
    let mut seen = cache.look();
    let mut after_sequence = false;
    for unit in until(es, |head| head == 0x00) {
        match unit {
            [0xB3, ..] => {
                seen.add(1, unit);
                after_sequence = true;
            }
            // The extensions that follow a sequence header belong to it.
            [0xB5, ..] if after_sequence => seen.add(1, unit),
            [0xB8, flags @ ..] => {
                after_sequence = false;
                // closed_gop follows the 25 bits of the time code (13818-2 6.2.2.6).
                access.closed = flags.get(3).is_some_and(|byte| byte & 0x40 != 0);
            }
            [0x00, _, kind, ..] => {
                // picture_coding_type follows ten bits of temporal_reference; 1 is I (13818-2 6.3.9).
                access.intra = (kind >> 3) & 7 == 1;
                access.parameter_sets = seen.keep(1, Codec::Mpeg2Video);
                access.random_access = access.intra && access.parameter_sets;
                return access;
            }
            _ => {}
        }
    }
    access
}

/// The parameter sets of the access unit at hand.
struct Seen<'a> {
    kinds: u8,
    cache: &'a mut ParameterSets,
}

impl Seen<'_> {
    fn add(&mut self, kind: u8, unit: &[u8]) {
        self.kinds |= kind;
        let fresh = &mut self.cache.fresh;
        if fresh.len() + unit.len() + 4 <= PARAMETER_BYTES_MAX {
            fresh.extend([0, 0, 0, 1]);
            fresh.extend_from_slice(unit);
        } else {
            self.kinds = 0;
        }
    }

    /// Remembers them when all of `needed` are there; says whether they are.
    fn keep(self, needed: u8, codec: Codec) -> bool {
        let whole = self.kinds & needed == needed;
        let ParameterSets {
            bytes,
            fresh,
            picture,
        } = self.cache;
        if whole && bytes != fresh {
            core::mem::swap(bytes, fresh);
            *picture = until(bytes, |_| false).find_map(|unit| size::picture_size(codec, unit));
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Xorshift;

    const SPS: &[u8] = &[0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xDA];
    const PPS: &[u8] = &[0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80];
    const AUD: &[u8] = &[0, 0, 0, 1, 0x09, 0xF0];
    const IDR: &[u8] = &[0, 0, 1, 0x65, 0x88, 0x84, 0x00, 0x33];
    /// first_mb 0 ('1'), slice_type 7 ('0001000').
    const I_SLICE: &[u8] = &[0, 0, 1, 0x41, 0b1000_1000, 0x55];
    /// first_mb 0 ('1'), slice_type 5 ('00110').
    const P_SLICE: &[u8] = &[0, 0, 1, 0x41, 0b1001_1011, 0x55];
    const RECOVERY: &[u8] = &[0, 0, 1, 0x06, 0x01, 0x01, 0xAA, 0x06, 0x01, 0xC4, 0x80];
    const SLOW_RECOVERY: &[u8] = &[0, 0, 1, 0x06, 0x06, 0x01, 0x2C, 0x80];

    fn random_access(codec: Codec, units: &[&[u8]], cache: &mut ParameterSets) -> bool {
        inspect(codec, &units.concat(), cache).random_access
    }

    #[test]
    fn h264_starts() {
        let check = |units: &[&[u8]], cached: bool, expected: bool| {
            let mut cache = ParameterSets::new();
            if cached {
                inspect(Codec::H264, &[SPS, PPS, IDR].concat(), &mut cache);
                assert_eq!(cache.bytes(), [SPS, PPS].concat());
            }
            assert_eq!(
                random_access(Codec::H264, units, &mut cache),
                expected,
                "{units:x?} cached {cached}"
            );
        };
        check(&[AUD, SPS, PPS, IDR], false, true);
        check(&[AUD, IDR], false, false);
        check(&[AUD, IDR], true, true);
        check(&[AUD, SPS, PPS, P_SLICE], false, false);
        check(&[AUD, SPS, PPS, I_SLICE], false, true);
        check(&[AUD, I_SLICE], true, false);
        check(&[AUD, RECOVERY, I_SLICE], true, true);
        check(&[AUD, RECOVERY, I_SLICE], false, false);
        check(&[AUD, SLOW_RECOVERY, I_SLICE], true, false);
        check(&[SPS, IDR], false, false);
    }

    #[test]
    fn hevc_starts() {
        let unit = |kind: u8| vec![0, 0, 1, kind << 1, 1, 0x80];
        let sets = [unit(32), unit(33), unit(34)].concat();
        for kind in 0..32 {
            let mut cache = ParameterSets::new();
            let access = inspect(Codec::Hevc, &[sets.clone(), unit(kind)].concat(), &mut cache);
            assert_eq!(access.random_access, (16..=21).contains(&kind), "{kind}");
            assert_eq!(access.skipped_leading, kind == 8 || kind == 9);
            assert!(
                inspect(Codec::Hevc, &unit(21), &mut cache).random_access,
                "sets are cached"
            );
            assert!(!inspect(Codec::Hevc, &unit(21), &mut ParameterSets::new()).random_access);
        }
    }

    #[test]
    fn mpeg2_starts() {
        let sequence = [0, 0, 1, 0xB3, 0x2D, 0x02, 0x40, 0x33, 0, 0, 1, 0xB5, 0x14, 0x8A];
        let gop = |closed: u8| [0, 0, 1, 0xB8, 0, 0x08, 0, closed];
        let picture = |kind: u8| [0, 0, 1, 0x00, 0, kind << 3, 0xFF];
        let inspect =
            |units: &[&[u8]]| inspect(Codec::Mpeg2Video, &units.concat(), &mut ParameterSets::new());
        let open = inspect(&[&sequence, &gop(0), &picture(1)]);
        assert!(open.random_access && !open.closed);
        assert!(inspect(&[&sequence, &gop(0x40), &picture(1)]).closed);
        assert!(!inspect(&[&gop(0), &picture(1)]).random_access);
        assert!(!inspect(&[&sequence, &picture(2)]).random_access);
    }

    #[test]
    fn mangled_units_do_not_panic() {
        let mut random = Xorshift::new(11);
        let mut cache = ParameterSets::new();
        let good = [AUD, SPS, PPS, RECOVERY, I_SLICE, IDR].concat();
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..5 {
                let at = random.below(bytes.len());
                bytes[at] = [0, 1, 0xFF, random.next().to_le_bytes()[0]][random.below(4)];
            }
            bytes.truncate(random.below(bytes.len() + 1));
            for codec in [Codec::H264, Codec::Hevc, Codec::Mpeg2Video, Codec::Aac] {
                let access = inspect(codec, &bytes, &mut cache);
                assert!(access.intra || !access.random_access);
            }
            assert!(cache.bytes().len() <= PARAMETER_BYTES_MAX);
        }
    }
}
