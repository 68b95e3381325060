#!/bin/sh
# Makes the built-in clips anew: the test card, the slates (slate/MESSAGE.CODEC.ts), and frames of encoded silence
# (silence/). Needs ffmpeg with libx264, libx265 and drawtext, and the DejaVu fonts. The results are committed; this
# runs only when their look changes.
#
# A clip loops without a seam when its pictures and its sound end together: 25 pictures a second and 1024 samples of
# 48 kHz a frame meet every 0.32 s (8 pictures, 15 frames), so a clip lasts a multiple of that, and so does a group
# of pictures (24 pictures, 0.96 s). The sound is silent where the loop closes.
set -eu
cd "$(dirname "$0")"
FONT=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf}

# $1 name, $2 pictures, $3 audio frames, $4 video kbit/s, $5 filter graph, $6 audio expression
make_clip() {
    ffmpeg -v error -y -f lavfi -i "$5,trim=end_frame=$2" \
        -f lavfi -i "aevalsrc='$6':s=48000:c=mono:d=60,aformat=channel_layouts=stereo" \
        -map 0:v -map 1:a -frames:a "$3" \
        -c:v libx264 -profile:v main -pix_fmt yuv420p -preset veryslow -tune stillimage \
        -b:v "$4k" -maxrate "$4k" -bufsize "$4k" \
        -x264-params "keyint=24:min-keyint=24:scenecut=0:open-gop=0:bframes=2:b-adapt=0:repeat-headers=1" \
        -c:a aac -profile:a aac_low -b:a 48k -ac 2 -ar 48000 \
        -fflags +bitexact -flags:v +bitexact -flags:a +bitexact \
        -metadata service_name=mainstem -metadata service_provider=mainstem \
        -muxdelay 0.4 -muxpreload 0.4 -f mpegts "$1"
}

# 312 pictures = 12.48 s = 585 audio frames. A short beep each second, none in the first and the last half second.
make_clip testcard.ts 312 585 300 \
    "color=c=white:s=16x16:r=25[dot];smptehdbars=s=640x360:r=25,\
drawbox=x=0:y=250:w=640:h=110:color=black@0.85:t=fill[bars];[bars][dot]overlay=x='mod(n*8\,656)-16':y=332,\
drawtext=fontfile=$FONT:text='mainstem':fontsize=30:fontcolor=white:x=24:y=266,\
drawtext=fontfile=$FONT:text='test card':fontsize=18:fontcolor=gray:x=26:y=304,\
drawtext=fontfile=$FONT:timecode='00\:00\:00\:00':rate=25:fontsize=36:fontcolor=white:x=w-tw-24:y=270" \
    "if(between(t,0.5,12.0)*lt(mod(t,1),0.08),0.06*sin(2*PI*1000*t)*sin(PI*mod(t,1)/0.08),0)"

# Not in the program: a short clip with B pictures and silent sound, for the splice's tests and fuzz targets.
# 96 pictures = 3.84 s = 180 audio frames.
make_clip ../fuzz/good.ts 96 180 90 \
    "color=c=0x6FB1FC:s=40x6:r=25[dot];color=c=0x14181F:s=640x360:r=25,\
drawbox=x=200:y=236:w=240:h=6:color=0x2A313C:t=fill[back];\
[back][dot]overlay=x='200+if(lt(mod(n\,96)\,48)\,mod(n\,48)\,48-mod(n\,48))*200/48':y=236,\
drawtext=fontfile=$FONT:text='No signal':fontsize=44:fontcolor=white:x=(w-tw)/2:y=126,\
drawtext=fontfile=$FONT:text='trying again':fontsize=22:fontcolor=0x9AA4B2:x=(w-tw)/2:y=188" \
    "0"

# The slates: pictures alone, the sound is written beside them. 96 pictures = 3.84 s, a keyframe every 24 so that the
# way back to a source is short; no B pictures and the main profile, so that the plainest decoder shows them. Something
# moves, so that nobody takes the picture for a frozen one.
SANS=${SANS:-/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf}

# $1 file, $2 headline, $3 second line, then the encoder
make_slate() {
    file=$1 headline=$2 second=$3
    shift 3
    ffmpeg -v error -y -f lavfi -i "color=c=0x6FB1FC:s=40x6:r=25[dot];color=c=0x14181F:s=640x360:r=25,\
drawbox=x=200:y=236:w=240:h=6:color=0x2A313C:t=fill[back];\
[back][dot]overlay=x='200+if(lt(mod(n\,96)\,48)\,mod(n\,48)\,48-mod(n\,48))*200/48':y=236,\
drawtext=fontfile=$SANS:text='$headline':fontsize=34:fontcolor=white:x=(w-tw)/2:y=130,\
drawtext=fontfile=$SANS:text='$second':fontsize=20:fontcolor=0x9AA4B2:x=(w-tw)/2:y=188,trim=end_frame=96" \
        -pix_fmt yuv420p -bf 0 -threads 1 "$@" \
        -fflags +bitexact -flags:v +bitexact \
        -metadata service_name=mainstem -metadata service_provider=mainstem \
        -muxdelay 0.4 -muxpreload 0.4 -f mpegts "$file"
}

# $1 message, $2 headline, $3 second line
make_slates() {
    make_slate "slate/$1.h264.ts" "$2" "$3" -c:v libx264 -profile:v main -preset veryslow -tune stillimage -crf 27 \
        -x264-params "keyint=24:min-keyint=24:scenecut=0:open-gop=0:repeat-headers=1"
    make_slate "slate/$1.hevc.ts" "$2" "$3" -c:v libx265 -profile:v main -preset slow -crf 29 \
        -x265-params "log-level=error:keyint=24:min-keyint=24:scenecut=0:open-gop=0:bframes=0:repeat-headers=1:pools=1:frame-threads=1:info=0"
    make_slate "slate/$1.mpeg2.ts" "$2" "$3" -c:v mpeg2video -q:v 6 -g 24 -sc_threshold 1000000000 -flags:v +bitexact+cgop
}

mkdir -p slate silence
make_slates offline "No signal at the moment" "trying again"
make_slates limit "All connections are in use" "waiting for a free one"
make_slates expired "The account has expired" "please renew it with your provider"

# Silence: one frame of each sample rate and layout, one behind the other. The third frame of a run of silence is
# taken: by then the encoder has settled.
# $1 codec, $2 rate, $3 layout, $4 bit rates to try, the lowest first
one_frame() {
    for bits in $4; do
        if ffmpeg -v quiet -y -f lavfi -i "anullsrc=r=$2:cl=$3,atrim=end_sample=7680" \
            -c:a "$1" -b:a "$bits" -flags:a +bitexact -f "$1" silence/frames; then
            ffmpeg -v error -y -f "$1" -i silence/frames -c copy -frames:a 1 -bsf:a "noise=drop='lt(n,2)'" -f "$1" silence/frame
            cat silence/frame >>"silence/$1"
            rm silence/frames silence/frame
            return
        fi
    done
    echo "no $1 at $2 Hz in $3" >&2
    exit 1
}
for codec in ac3 eac3; do
    rm -f "silence/$codec"
    for rate in 48000 44100 32000; do
        # acmod 1 to 7, each without and with its low-frequency channel; 2/2 with one is more than ffmpeg's encoders do.
        # 0xC is FC+LFE, 0x10B FL+FR+LFE+BC.
        for layout in mono 0xC stereo 2.1 3.0 3.1 "3.0(back)" 0x10B 4.0 4.1 "quad(side)" "5.0(side)" "5.1(side)"; do
            one_frame $codec $rate "$layout" "32k 40k 48k 56k 64k 80k 96k 112k 128k"
        done
    done
done
# silence/he_aac is not made here: ffmpeg has no encoder for it. It is the settled frame of silence from the encoder of
# the crate fdk-aac (HE-AAC, implicit signalling), cores of 24, 22.05 and 16 kHz, mono and stereo.
