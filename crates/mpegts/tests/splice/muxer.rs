//! Writes transport streams to order: any PIDs, stamps and clocks, and contents that only the splice has to understand.

use mpegts::psi::{Pat, Pmt, PmtStream, packetize};
use mpegts::{PACKET_BYTES, Pid};

/// One programme being written.
pub(crate) struct Muxer {
    pub(crate) bytes: Vec<u8>,
    pat: Vec<u8>,
    pmt: Vec<u8>,
    map: Pid,
    clock: Pid,
    counters: [u8; 8192],
}

/// When a PES packet is shown and decoded, in ticks of 90 kHz.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamps {
    pub(crate) pts: u64,
    pub(crate) dts: u64,
}

impl Muxer {
    /// The streams are their types and PIDs.
    pub(crate) fn new(map: Pid, streams: &[(u8, Pid)], clock: Pid) -> Self {
        let pat = Pat {
            transport_stream_id: 1,
            version: 0,
            programs: vec![(1, map)],
        };
        let streams = streams.iter().map(|(stream_type, pid)| PmtStream {
            stream_type: *stream_type,
            pid: *pid,
            descriptors: Vec::new(),
        });
        let pmt = Pmt {
            program_number: 1,
            version: 0,
            pcr_pid: clock,
            descriptors: Vec::new(),
            streams: streams.collect(),
        };
        Self {
            bytes: Vec::new(),
            pat: pat.write().unwrap(),
            pmt: pmt.write().unwrap(),
            map,
            clock,
            counters: [15; 8192],
        }
    }

    pub(crate) fn tables(&mut self) {
        packetize(&self.pat, Pid::PAT, &mut self.counters[0], &mut self.bytes);
        let counter = &mut self.counters[usize::from(self.map.value())];
        packetize(&self.pmt, self.map, counter, &mut self.bytes);
    }

    /// A packet that carries nothing but the clock, on its PID.
    pub(crate) fn clock(&mut self, base: u64) {
        let mut field = clock_field(base);
        field.resize(PACKET_BYTES - 4, 0xFF);
        self.packet(self.clock, 0, field, &[]);
    }

    /// A PES packet. With a clock, its first packet carries it; the PID has to be the clock's.
    pub(crate) fn pes(&mut self, pid: Pid, stream_id: u8, es: &[u8], stamps: Stamps, clock: Option<u64>) {
        let mut pes = vec![0, 0, 1, stream_id, 0, 0, 0x80, 0xC0, 10];
        pes.extend(stamp(0x30, stamps.pts));
        pes.extend(stamp(0x10, stamps.dts));
        pes.extend(es);
        if stream_id < 0xE0 {
            let length = u16::try_from(pes.len() - 6).unwrap();
            pes[4..6].copy_from_slice(&length.to_be_bytes());
        }
        let mut field = clock.map(clock_field).unwrap_or_default();
        let (mut start, mut rest) = (0x40, pes.as_slice());
        while !rest.is_empty() {
            let now = rest.len().min(PACKET_BYTES - 4 - field.len());
            let stuffing = PACKET_BYTES - 4 - field.len() - now;
            if field.is_empty() && stuffing > 0 {
                field = vec![0; stuffing.min(2)];
            }
            field.resize(PACKET_BYTES - 4 - now, 0xFF);
            self.packet(pid, start, core::mem::take(&mut field), &rest[..now]);
            rest = &rest[now..];
            start = 0;
        }
    }

    fn packet(&mut self, pid: Pid, start: u8, mut field: Vec<u8>, payload: &[u8]) {
        if let Some(length) = field.len().checked_sub(1) {
            field[0] = u8::try_from(length).unwrap();
        }
        let counter = &mut self.counters[usize::from(pid.value())];
        let mut control = 0;
        if !payload.is_empty() {
            *counter = (*counter + 1) & 15;
            control |= 0x10;
        }
        if !field.is_empty() {
            control |= 0x20;
        }
        let [high, low] = pid.value().to_be_bytes();
        self.bytes.extend([0x47, high | start, low, control | *counter]);
        self.bytes.extend(field);
        self.bytes.extend(payload);
    }
}

/// An adaptation field with a clock; its length is filled in later.
fn clock_field(base: u64) -> Vec<u8> {
    let base = base % (1 << 33);
    let mut field = vec![0, 0x10];
    field.extend(&((base << 15) | 0x7E00).to_be_bytes()[2..]);
    field
}

fn stamp(prefix: u8, ticks: u64) -> [u8; 5] {
    let low = |value: u64| value.to_le_bytes()[0];
    [
        prefix | (low(ticks >> 29) & 0x0E) | 1,
        low(ticks >> 22),
        low(ticks >> 14) | 1,
        low(ticks >> 7),
        low(ticks << 1) | 1,
    ]
}
