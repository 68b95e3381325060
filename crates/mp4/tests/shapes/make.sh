#!/bin/sh
# Makes the fragmented MP4 that `tests/shapes.rs` reads, in the shapes that packagers give it, and beside each the transport
# stream of the same frames. Needs ffmpeg with libx264, libx265 and libmp3lame. 1.2 s in some 10 kB each.
set -eu
cd "$(dirname "$0")"
quiet="ffmpeg -hide_banner -v error -nostdin -y -threads 1"
exact="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1"

# encode NAME RATE HERTZ ARGUMENTS: the frames, once.
encode() {
    name=$1 rate=$2 hertz=$3
    shift 3
    $quiet -f lavfi -i "testsrc=size=96x64:rate=$rate,trim=end_frame=30" \
        -f lavfi -i "sine=frequency=440:sample_rate=$hertz,atrim=duration=1.2" -pix_fmt yuv420p "$@" $exact \
        -video_track_timescale 90000 "$name.master.mp4"
    $quiet -i "$name.master.mp4" -c copy $exact -f mpegts "$name.all.ts"
    # ffmpeg's SDT says when it was written.
    python3 - "$name" <<'PYTHON'
import sys
data = open(sys.argv[1] + ".all.ts", "rb").read()
packets = [data[at:at + 188] for at in range(0, len(data), 188)]
open(sys.argv[1] + ".ts", "wb").write(b"".join(p for p in packets if (p[1] & 0x1F) << 8 | p[2] != 0x11))
PYTHON
    rm "$name.all.ts"
}

# shape OF NAME ARGUMENTS: the same frames as fragmented MP4.
shape() {
    of=$1 name=$2
    shift 2
    $quiet -i "$of.master.mp4" -c copy $exact -strict -1 "$@" -f mp4 "$of.$name.mp4"
}

x264="-c:v libx264 -preset veryfast -crf 40 -g 12 -bf 2 -x264-params open-gop=0:scenecut=0:threads=1"
x265="-c:v libx265 -preset veryfast -crf 40 -x265-params log-level=none:keyint=12:min-keyint=12:scenecut=0:bframes=2:open-gop=0:pools=none:frame-threads=1:info=0"

encode avc 25 48000 $x264 -c:a aac -b:a 24k -ac 1
shape avc plain -movflags frag_keyframe+empty_moov+default_base_moof
shape avc cmaf -movflags cmaf+frag_keyframe+delay_moov
shape avc dash -movflags dash+frag_keyframe+delay_moov
shape avc offsets -movflags frag_keyframe+empty_moov
shape avc separate -movflags frag_keyframe+empty_moov+separate_moof
shape avc each -movflags frag_every_frame+empty_moov+default_base_moof
shape avc encrypted -movflags frag_keyframe+empty_moov+default_base_moof -encryption_scheme cenc-aes-ctr \
    -encryption_key 00112233445566778899aabbccddeeff -encryption_kid 00112233445566778899aabbccddeeff

encode ntsc 30000/1001 44100 $x264 -c:a libmp3lame -b:a 32k -ac 1
shape ntsc plain -video_track_timescale 30000 -movflags frag_keyframe+delay_moov+default_base_moof
shape ntsc odd -video_track_timescale 1000003 -movflags frag_keyframe+delay_moov

encode hevc 25 48000 $x265 -tag:v hvc1 -c:a eac3 -b:a 48k -ac 2
shape hevc hvc1 -movflags frag_keyframe+delay_moov+default_base_moof
shape hevc hev1 -tag:v hev1 -movflags cmaf+frag_keyframe+delay_moov

encode ac3 50 48000 $x264 -c:a ac3 -b:a 64k -ac 2
shape ac3 plain -movflags frag_keyframe+delay_moov+default_base_moof

rm ./*.master.mp4
ls -l ./*.ts ./*.mp4
