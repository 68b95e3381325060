#!/bin/sh
# Encodes the clips the double loops. Needs ffmpeg with libx264 and libx265 and any DejaVu Sans Bold.
#
# Every clip is an encode of its own: other PIDs, ids, GOP, time base, codecs, colour and letter, and a frame counter
# is burnt into the picture, so that a decoded frame tells which stream it came from and that it is a new one.
# Frame counts are chosen so that video and audio end at the same instant (say 200 frames of 40 ms = 375 AAC frames of
# 1024/48000 s): only then does a lap join the next without a gap or an overlap. `src/clip.rs` states the lap of each.
#
# The sound of C is HE-AAC, which ffmpeg's own encoder does not write: `c.adts` is kept beside this script. It is 150
# frames of a 660 Hz tone, 48 kHz stereo at 32 kbit/s with a core of 24 kHz, from the encoder of the crate fdk-aac.
set -eu
cd "$(dirname "$0")"
font=$(fc-match -f '%{file}' 'DejaVu Sans:bold')

# picture LETTER COLOUR SIZE FRAMES: one flat colour, the letter, and the frame counter below it
picture() {
    printf "color=c=%s:s=%s:r=25,trim=end_frame=%s,drawtext=fontfile=%s:text='%s':fontsize=h*0.6:fontcolor=white:x=(w-tw)/2:y=0,drawtext=fontfile=%s:text='%%{frame_num}':fontsize=h*0.25:fontcolor=yellow:x=(w-tw)/2:y=h*0.7" \
        "$2" "$3" "$4" "$font" "$1" "$font"
}
# tone HERTZ RATE SAMPLES: what is encoded; the encoder adds a frame that primes the decoder
tone() { printf 'sine=frequency=%s:sample_rate=%s,atrim=end_sample=%s' "$1" "$2" "$3"; }
# ids TSID PROGRAM PMT_PID FIRST_ES_PID
ids() { printf -- '-mpegts_transport_stream_id %s -mpegts_service_id %s -mpegts_pmt_start_pid %s -mpegts_start_pid %s' "$@"; }
ff() { ffmpeg -hide_banner -v error -nostdin -y "$@"; }
bitexact="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1"
x264="-c:v libx264 -pix_fmt yuv420p -preset veryfast -threads 1"

# A: H.264 high, closed GOP of 1 s, AAC-LC
ff -f lavfi -i "$(picture A darkred 320x180 200)" -f lavfi -i "$(tone 440 48000 $((374 * 1024)))" \
    $x264 -profile:v high -g 25 -bf 0 -x264-params open-gop=0:scenecut=0 -b:v 90k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0x101 1 0x1000 0x100) \
    -metadata service_name=A -f mpegts a.ts
# B: H.264 main, open GOP of 2 s with B pictures, AAC-LC; the 33-bit clock wraps in the middle of lap 0
ff -f lavfi -i "$(picture B darkgreen 320x180 200)" -f lavfi -i "$(tone 550 48000 $((374 * 1024)))" \
    $x264 -profile:v main -g 50 -bf 3 -x264-params open-gop=1:scenecut=0:b-adapt=0 -b:v 80k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0x202 7 0x0400 0x0401) \
    -output_ts_offset 95438.5 -metadata service_name=B -f mpegts b.ts
# C: H.264 baseline, GOP of 1.6 s, HE-AAC with implicit signalling: its headers say 24 kHz, its sound is 48 kHz
ff -f lavfi -i "$(picture C darkblue 256x144 160)" -i c.adts \
    $x264 -profile:v baseline -g 40 -x264-params scenecut=0 -b:v 80k \
    -c:a copy $bitexact $(ids 0x303 3 0x0020 0x0021) \
    -output_ts_offset 1234 -metadata service_name=C -f mpegts c.ts
# D: H.264 + AAC; `src/reel.rs` moves its PCR to a PID of its own
ff -f lavfi -i "$(picture D purple 320x180 200)" -f lavfi -i "$(tone 770 48000 $((374 * 1024)))" \
    $x264 -profile:v high -g 50 -bf 2 -x264-params open-gop=0:scenecut=0 -b:v 80k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0x404 40 0x0064 0x0065) \
    -output_ts_offset 5000 -metadata service_name=D -f mpegts d.ts
# E: H.264 + AAC; `src/reel.rs` clears its random_access_indicators
ff -f lavfi -i "$(picture E teal 320x180 200)" -f lavfi -i "$(tone 880 48000 $((374 * 1024)))" \
    $x264 -profile:v main -g 25 -bf 2 -x264-params open-gop=0:scenecut=0 -b:v 80k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0x505 5 0x0500 0x0510) \
    -output_ts_offset 70000 -metadata service_name=E -f mpegts e.ts
# F: HEVC + AAC
ff -f lavfi -i "$(picture F saddlebrown 320x180 200)" -f lavfi -i "$(tone 990 48000 $((374 * 1024)))" \
    -c:v libx265 -pix_fmt yuv420p -preset veryfast -g 50 \
    -x265-params log-level=error:keyint=50:min-keyint=50:scenecut=0:open-gop=0:pools=1:frame-threads=1:info=0 -b:v 80k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0x606 6 0x0600 0x0620) \
    -output_ts_offset 300 -metadata service_name=F -f mpegts f.ts
# G: MPEG-2 video + MPEG-1 layer II
ff -f lavfi -i "$(picture G darkolivegreen 160x90 150)" -f lavfi -i "$(tone 350 48000 $((250 * 1152)))" \
    -c:v mpeg2video -pix_fmt yuv420p -g 12 -bf 2 -b:v 130k -maxrate 200k -bufsize 400k -threads 1 \
    -c:a mp2 -b:a 48k -ac 1 $bitexact $(ids 0x707 70 0x0700 0x0777) \
    -output_ts_offset 40000 -metadata service_name=G -f mpegts g.ts
# H: radio, MPEG-1 layer II alone
ff -f lavfi -i "$(tone 300 48000 $((250 * 1152)))" \
    -c:a mp2 -b:a 96k -ac 2 -pes_payload_size 0 $bitexact $(ids 0x808 80 0x0800 0x0801) \
    -output_ts_offset 8000 -metadata service_name=H -f mpegts h.ts
# I: H.264 + AC-3
ff -f lavfi -i "$(picture I indigo 320x180 200)" -f lavfi -i "$(tone 520 48000 $((250 * 1536)))" \
    $x264 -profile:v high -g 25 -bf 0 -x264-params open-gop=0:scenecut=0 -b:v 70k \
    -c:a ac3 -b:a 64k -ac 2 $bitexact $(ids 0x909 9 0x0900 0x0901) \
    -output_ts_offset 60000 -metadata service_name=I -f mpegts i.ts
# J: H.264 high, interlaced (MBAFF, top field first), closed GOP of 1.6 s, AAC-LC
ff -f lavfi -i "$(picture J darkslateblue 320x180 200),setfield=tff" -f lavfi -i "$(tone 620 48000 $((374 * 1024)))" \
    $x264 -profile:v high -g 40 -bf 2 -x264-params tff=1:open-gop=0:scenecut=0 -b:v 90k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0xb0b 11 0x0b00 0x0b01) \
    -flags:v +ildct+ilme+bitexact -output_ts_offset 20000 -metadata service_name=J -f mpegts j.ts
# K: H.264 high, pyramids of B pictures in GOPs of 2.4 s that are open, AAC-LC
ff -f lavfi -i "$(picture K chocolate 320x180 200)" -f lavfi -i "$(tone 640 48000 $((374 * 1024)))" \
    $x264 -profile:v high -g 60 -bf 7 -refs 4 -x264-params open-gop=1:scenecut=0:b-adapt=0:b-pyramid=normal -b:v 80k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0xc0c 12 0x0c00 0x0c80) \
    -output_ts_offset 33000 -metadata service_name=K -f mpegts k.ts
# L: H.264 high of another size, AAC-LC
ff -f lavfi -i "$(picture L gray 480x270 200)" -f lavfi -i "$(tone 660 48000 $((374 * 1024)))" \
    $x264 -profile:v high -g 50 -bf 2 -x264-params open-gop=0:scenecut=0 -b:v 90k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0xd0d 13 0x0d00 0x0d01) \
    -output_ts_offset 44000 -metadata service_name=L -f mpegts l.ts
# M: H.264 main, one GOP of 8 s, AAC-LC
ff -f lavfi -i "$(picture M olive 320x180 200)" -f lavfi -i "$(tone 680 48000 $((374 * 1024)))" \
    $x264 -profile:v main -g 200 -keyint_min 200 -bf 2 -x264-params open-gop=0:scenecut=0 -b:v 70k \
    -c:a aac -b:a 48k -ac 2 $bitexact $(ids 0xe0e 14 0x0e00 0x0e01) \
    -output_ts_offset 55000 -metadata service_name=M -f mpegts m.ts
# N: radio, MPEG-1 layer II alone, in PES packets of several frames, and a PCR no more often than these: every 360 ms
ff -f lavfi -i "$(tone 700 48000 $((250 * 1152)))" \
    -c:a mp2 -b:a 64k -ac 2 $bitexact $(ids 0xf0f 15 0x0f00 0x0f01) \
    -output_ts_offset 66000 -metadata service_name=N -f mpegts n.ts
# O: radio, AAC-LC alone
ff -f lavfi -i "$(tone 720 48000 $((374 * 1024)))" \
    -c:a aac -b:a 64k -ac 2 -pes_payload_size 0 $bitexact $(ids 0x1010 16 0x1000 0x1001) \
    -output_ts_offset 77000 -metadata service_name=O -f mpegts o.ts
# P: HEVC, E-AC-3 of 5.1 channels
ff -f lavfi -i "$(picture P darkorange 320x180 200)" -f lavfi -i "$(tone 740 48000 $((250 * 1536)))" \
    -c:v libx265 -pix_fmt yuv420p -preset veryfast -g 50 \
    -x265-params log-level=error:keyint=50:min-keyint=50:scenecut=0:open-gop=0:pools=1:frame-threads=1:info=0 -b:v 70k \
    -c:a eac3 -b:a 96k -ac 6 $bitexact $(ids 0x1111 17 0x1100 0x1101) \
    -output_ts_offset 88000 -metadata service_name=P -f mpegts p.ts
# Q: MPEG-2 video, AC-3
ff -f lavfi -i "$(picture Q sienna 160x90 200)" -f lavfi -i "$(tone 760 48000 $((250 * 1536)))" \
    -c:v mpeg2video -pix_fmt yuv420p -g 12 -bf 2 -b:v 110k -maxrate 180k -bufsize 400k -threads 1 \
    -c:a ac3 -b:a 64k -ac 2 $bitexact $(ids 0x1212 18 0x1200 0x1201) \
    -output_ts_offset 90000 -metadata service_name=Q -f mpegts q.ts
# R: H.264, AAC-LC in German, AC-3 in English, AAC-LC of one channel in French
ff -f lavfi -i "$(picture R crimson 320x180 192)" -f lavfi -i "$(tone 440 48000 $((359 * 1024)))" \
    -f lavfi -i "$(tone 780 48000 $((240 * 1536)))" -f lavfi -i "$(tone 600 48000 $((359 * 1024)))" \
    -map 0:v -map 1:a -map 2:a -map 3:a \
    $x264 -profile:v high -g 24 -bf 0 -x264-params open-gop=0:scenecut=0 -b:v 60k \
    -c:a:0 aac -b:a:0 32k -ac:a:0 2 -c:a:1 ac3 -b:a:1 64k -ac:a:1 2 -c:a:2 aac -b:a:2 24k -ac:a:2 1 \
    $bitexact $(ids 0x1515 21 0x1500 0x1501) \
    -metadata:s:a:0 language=deu -metadata:s:a:1 language=eng -metadata:s:a:2 language=fra \
    -output_ts_offset 15000 -metadata service_name=R -f mpegts r.ts
# S: H.264, AAC-LC in German and in French
ff -f lavfi -i "$(picture S mediumpurple 320x180 192)" -f lavfi -i "$(tone 460 48000 $((359 * 1024)))" \
    -f lavfi -i "$(tone 620 48000 $((359 * 1024)))" -map 0:v -map 1:a -map 2:a \
    $x264 -profile:v high -g 24 -bf 0 -x264-params open-gop=0:scenecut=0 -b:v 60k \
    -c:a aac -b:a:0 32k -ac:a:0 2 -b:a:1 24k -ac:a:1 1 \
    $bitexact $(ids 0x1616 22 0x1600 0x1601) \
    -metadata:s:a:0 language=deu -metadata:s:a:1 language=fra \
    -output_ts_offset 25000 -metadata service_name=S -f mpegts s.ts
# BLACK: a file of 3.2 s that stands in for a stream that is gone
ff -f lavfi -i "color=c=black:s=320x180:r=25,trim=end_frame=80" -f lavfi -i "anullsrc=r=48000:cl=stereo,atrim=end_sample=$((149 * 1024))" \
    $x264 -profile:v main -g 40 -bf 0 -x264-params open-gop=0:scenecut=0 -b:v 20k \
    -c:a aac -b:a 24k -ac 2 $bitexact $(ids 0x1313 19 0x1300 0x1301) \
    -output_ts_offset 10 -metadata service_name=BLACK -f mpegts black.ts
# LIMIT: what some panels play, with a 200, to a viewer too many
ff -f lavfi -i "$(picture LIMIT black 320x180 100)" -f lavfi -i "$(tone 200 48000 $((186 * 1024)))" \
    $x264 -profile:v main -g 50 -bf 0 -x264-params open-gop=0:scenecut=0 -b:v 40k \
    -c:a aac -b:a 32k -ac 2 $bitexact $(ids 0xa0a 10 0x0a00 0x0a01) \
    -output_ts_offset 100 -metadata service_name=LIMIT -f mpegts limit.ts
ls -l ./*.ts
