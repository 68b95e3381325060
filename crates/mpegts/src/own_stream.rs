//! Transport streams of our own making, written for a splicer to read: tables and PES packets of elementary streams
//! that are known whole. What the splicer itself sends is written by the splice.

use crate::clock::{MediaTime, PCR_EXTENSION, Pcr27m};
use crate::es::Codec;
use crate::packet::{HEADER_BYTES, PACKET_BYTES, Pid, SYNC_BYTE};
use crate::pes;
use crate::psi::{self, Pat, Pmt, PmtStream, SectionError};

/// The PID of the programme map: any of 0x0010 to 0x1FFE may be (Table 2-3).
const PMT_PID: Pid = Pid::new(0x1000);

/// How far the clock runs behind the decoding times. Multiplexers use 0.5 to 1 s; so much has a decoder's buffer to
/// hold.
const CLOCK_MARGIN_90K: i64 = 63_000;

/// Where timelines begin: late enough that the clock before them is positive.
pub(crate) const BEGIN_90K: i64 = 900_000;

/// PAT and PMT of one programme, ready to be sent again and again.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pat: Vec<u8>,
    pmt: Vec<u8>,
    pat_continuity: u8,
    pmt_continuity: u8,
}

impl Tables {
    /// # Errors
    /// When the descriptors of all streams together do not fit into one section.
    pub(crate) fn new(pcr_pid: Pid, streams: Vec<PmtStream>) -> Result<Self, SectionError> {
        let pat = Pat {
            transport_stream_id: 1,
            version: 0,
            programs: vec![(1, PMT_PID)],
        };
        let pmt = Pmt {
            program_number: 1,
            version: 0,
            pcr_pid,
            descriptors: Vec::new(),
            streams,
        };
        Ok(Self {
            pat: pat.write()?,
            pmt: pmt.write()?,
            pat_continuity: 15,
            pmt_continuity: 15,
        })
    }

    /// Appends their packets.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) {
        psi::packetize(&self.pat, Pid::PAT, &mut self.pat_continuity, out);
        psi::packetize(&self.pmt, PMT_PID, &mut self.pmt_continuity, out);
    }
}

/// One elementary stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamWriter {
    pid: Pid,
    stream_id: u8,
    continuity: u8,
    pes: Vec<u8>,
}

/// What a PES packet says about its contents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamped {
    /// Presentation and decoding, in 90 kHz ticks of an unwrapped timeline.
    pub(crate) pts: i64,
    pub(crate) dts: i64,
    /// Decoding may start here.
    pub(crate) random_access: bool,
    /// The programme clock goes with it.
    pub(crate) carries_clock: bool,
}

impl StreamWriter {
    pub(crate) const fn new(pid: Pid, codec: Codec) -> Self {
        Self {
            pid,
            stream_id: pes::stream_id(codec),
            continuity: 15,
            pes: Vec::new(),
        }
    }

    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Appends the packets of one PES packet that holds `es`.
    pub(crate) fn write(&mut self, es: &[u8], stamped: Stamped, out: &mut Vec<u8>) {
        let mut pes = core::mem::take(&mut self.pes);
        let wrapped = |ticks| MediaTime::from_90k(ticks).wrapped();
        let stamps = (wrapped(stamped.pts), wrapped(stamped.dts));
        pes::write(&mut pes, self.stream_id, stamps, es);
        let clock = stamped.carries_clock.then(|| clock_for(stamped.dts));
        self.packetize(&pes, stamped.random_access, clock, out);
        self.pes = pes;
    }

    /// Appends a packet that carries nothing but the clock of decoding time `at`. The counter stands still (2.4.3.3).
    pub(crate) fn write_clock(&self, at: i64, out: &mut Vec<u8>) {
        let [pid_high, pid_low] = self.pid.value().to_be_bytes();
        out.extend([SYNC_BYTE, pid_high, pid_low, 0x20 | self.continuity]);
        write_field(
            out,
            PACKET_BYTES - HEADER_BYTES,
            &field(false, Some(clock_for(at))),
        );
    }

    /// Cuts a PES packet into transport packets (2.4.3.3: the last one is filled up in its adaptation field).
    fn packetize(&mut self, pes: &[u8], random_access: bool, clock: Option<Pcr27m>, out: &mut Vec<u8>) {
        let [pid_high, pid_low] = self.pid.value().to_be_bytes();
        let mut field = field(random_access, clock);
        let mut start = 0x40;
        let mut rest = pes;
        while !rest.is_empty() {
            self.continuity = (self.continuity + 1) & 0x0F;
            let head = if field.is_empty() { 0 } else { 1 + field.len() };
            let room = PACKET_BYTES - HEADER_BYTES - head;
            let (now, later) = rest.split_at(room.min(rest.len()));
            let field_bytes = PACKET_BYTES - HEADER_BYTES - now.len();
            let control = if field_bytes > 0 { 0x30 } else { 0x10 };
            out.extend([SYNC_BYTE, pid_high | start, pid_low, control | self.continuity]);
            write_field(out, field_bytes, &field);
            out.extend_from_slice(now);
            rest = later;
            field.clear();
            start = 0;
        }
    }
}

/// What the clock shows where something is sent that is decoded `at`.
fn clock_for(at: i64) -> Pcr27m {
    let base = MediaTime::from_90k(at.saturating_sub(CLOCK_MARGIN_90K)).wrapped();
    Pcr27m::new(base.ticks() * PCR_EXTENSION)
}

/// The flags of an adaptation field and what they announce; empty when there is nothing to say (2.4.3.4).
fn field(random_access: bool, clock: Option<Pcr27m>) -> Vec<u8> {
    let mut field = Vec::new();
    if random_access || clock.is_some() {
        field.push(if random_access { 0x40 } else { 0 } | if clock.is_some() { 0x10 } else { 0 });
    }
    if let Some(pcr) = clock {
        // 33 bits of base, six reserved, nine of extension.
        let packed = (pcr.base().ticks() << 15) | 0x7E00 | u64::from(pcr.extension());
        field.extend(packed.to_be_bytes().iter().skip(2));
    }
    field
}

/// An adaptation field of `size` bytes with its length byte: `field`, and stuffing behind it.
fn write_field(out: &mut Vec<u8>, size: usize, field: &[u8]) {
    let Some(length) = size.checked_sub(1) else { return };
    let end = out.len() + size;
    out.push(u8::try_from(length).unwrap_or(u8::MAX));
    if length == 0 {
        return;
    }
    if field.is_empty() {
        out.push(0);
    }
    out.extend_from_slice(field);
    out.resize(end, 0xFF);
}
