//! Whether decoding can begin with a picture: parameter sets and a picture that needs no other, in one unit.

/// stream_type of MPEG-1, MPEG-2, H.264 and HEVC video (Table 2-34).
pub(crate) fn is_video(kind: u8) -> bool {
    matches!(kind, 0x01 | 0x02 | 0x1B | 0x24)
}

/// Whether data may wait ten seconds for their decoding, not one.
pub(crate) fn is_avc_or_hevc(kind: u8) -> bool {
    matches!(kind, 0x1B | 0x24)
}

/// What a decoder misses to begin with this unit of video; `None`: nothing.
pub(crate) fn missing(kind: u8, unit: &[u8]) -> Option<&'static str> {
    let units = || start_codes(unit);
    let has = |wanted: &dyn Fn(&[u8]) -> bool| units().any(wanted);
    match kind {
        // H.264 (Table 7-1): 7 SPS, 8 PPS, 5 IDR, 6 SEI.
        0x1B if !has(&|n| n[0] & 0x1F == 7) => Some("an SPS"),
        0x1B if !has(&|n| n[0] & 0x1F == 8) => Some("a PPS"),
        0x1B if !has(&|n| n[0] & 0x1F == 5 || is_recovery_point(n)) => Some("an IDR or a recovery point"),
        // HEVC (Table 7-1): 32 VPS, 33 SPS, 34 PPS, 16 to 21 IRAP.
        0x24 if !has(&|n| n[0] >> 1 & 0x3F == 32) => Some("a VPS"),
        0x24 if !has(&|n| n[0] >> 1 & 0x3F == 33) => Some("an SPS"),
        0x24 if !has(&|n| n[0] >> 1 & 0x3F == 34) => Some("a PPS"),
        0x24 if !has(&|n| (16..=21).contains(&(n[0] >> 1 & 0x3F))) => Some("an IRAP picture"),
        // MPEG-1 and MPEG-2 (13818-2 Table 6-1): B3 sequence header, 00 picture, its coding type 1 being I.
        0x01 | 0x02 if !has(&|n| n[0] == 0xB3) => Some("a sequence header"),
        0x01 | 0x02 if !has(&|n| n[0] == 0 && n.get(2).is_some_and(|b| b >> 3 & 7 == 1)) => {
            Some("an I picture")
        }
        _ => None,
    }
}

/// What follows each start code 00 00 01, to the end of the unit; never empty.
fn start_codes(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    unit.windows(3)
        .enumerate()
        .filter(|(_, code)| *code == [0, 0, 1])
        .filter_map(|(at, _)| unit.get(at + 3..).filter(|rest| !rest.is_empty()))
}

/// Whether a NAL unit is an SEI with a recovery point among its messages (H.264 clauses 7.3.2.3.1 and D.1.8).
fn is_recovery_point(nal: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    if nal[0] & 0x1F != 6 {
        return false;
    }
    let mut rest = nal.get(1..).unwrap_or_default();
    loop {
        let (Some((kind, after)), 1..) = (number(rest), rest.len()) else {
            return false;
        };
        let Some((length, after)) = number(after) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return true;
        }
        // 0x80 ends the messages; a start code does, too.
        match after.get(length..) {
            Some(next) if !next.starts_with(&[0x80]) && !next.starts_with(&[0, 0]) => rest = next,
            _ => return false,
        }
    }
}

/// A number of an SEI message: bytes of 255 and a last one, added up.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().take_while(|byte| **byte == 0xFF).count();
    let last = bytes.get(full)?;
    Some((full * 255 + usize::from(*last), &bytes[full + 1..]))
}
