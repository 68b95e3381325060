#!/bin/sh
# Makes the two built-in clips anew: assets/testcard.ts and assets/slate.ts. Needs ffmpeg with libx264 and drawtext,
# and a DejaVu font. The results are committed; this runs only when their look changes.
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

# 96 pictures = 3.84 s = 180 audio frames. Silence.
make_clip slate.ts 96 180 90 \
    "color=c=0x6FB1FC:s=40x6:r=25[dot];color=c=0x14181F:s=640x360:r=25,\
drawbox=x=200:y=236:w=240:h=6:color=0x2A313C:t=fill[back];\
[back][dot]overlay=x='200+if(lt(mod(n\,96)\,48)\,mod(n\,48)\,48-mod(n\,48))*200/48':y=236,\
drawtext=fontfile=$FONT:text='No signal':fontsize=44:fontcolor=white:x=(w-tw)/2:y=126,\
drawtext=fontfile=$FONT:text='trying again':fontsize=22:fontcolor=0x9AA4B2:x=(w-tw)/2:y=188" \
    "0"
