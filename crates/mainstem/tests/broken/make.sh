#!/bin/sh
# Encodes good.ts, from which `tests/reader.rs` derives the broken files beside it (MAINSTEM_WRITE_BROKEN=1 writes
# them). Needs ffmpeg with libx264. 1.6 s in less than 30 kB: two closed GOPs with B pictures, AAC-LC in small PES
# packets, PAT and PMT every 100 ms. ffmpeg's SDT is dropped, so that the file begins as this program's responses do.
set -eu
cd "$(dirname "$0")"
ffmpeg -hide_banner -v error -nostdin -y \
    -f lavfi -i "testsrc=size=96x64:rate=25,trim=end_frame=40" \
    -f lavfi -i "sine=frequency=440:sample_rate=48000,atrim=end_sample=$((74 * 1024))" \
    -c:v libx264 -pix_fmt yuv420p -preset veryfast -threads 1 -g 20 -bf 2 \
    -x264-params open-gop=0:scenecut=0:b-adapt=0 -crf 40 -c:a aac -b:a 24k -ac 1 \
    -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1 \
    -pes_payload_size 300 -f mpegts all.ts
python3 -c '
data = open("all.ts", "rb").read()
packets = [data[at:at + 188] for at in range(0, len(data), 188)]
keep = [p for p in packets if (p[1] & 0x1F) << 8 | p[2] != 0x11]
open("good.ts", "wb").write(b"".join(keep))'
rm all.ts
ls -l good.ts
