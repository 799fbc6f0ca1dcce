#!/bin/sh
# Plays a worker for tests of the scheduler: called as `worker DIR --device D --threads N`, it does what the file
# DIR/part says and writes the log lines that a real one would.
dir=$2
part=$(cat "$dir/part")
exec 9>"$dir/lock"
# Whoever asks whether it is held holds it for an instant.
flock -w 2 9 || exit 3

attempt=$(($(cat "$dir/events.jsonl" 2>/dev/null | grep -c '"started"') + 1))
seq=$(cat "$dir/events.jsonl" 2>/dev/null | wc -l)
event() {
    echo "{\"seq\":$seq,\"attempt\":$attempt,\"at\":0,\"event\":$1}" >>"$dir/events.jsonl"
    seq=$((seq + 1))
}
finish() {
    event "{\"kind\":\"finished\",\"step\":3,\"examples\":30,\"outcome\":$1}"
}
stopped() {
    event '{"kind":"stopped","step":1,"examples":10}'
    exit 0
}

# Before the first word: whoever has read it may ask for a stop.
[ "$part" = hang ] && trap stopped TERM
[ "$part" = deaf ] && trap '' TERM

event "{\"kind\":\"started\",\"siglab\":\"0\",\"host\":\"h\",\"pid\":$$,\"devices\":[\"$4\"],\"threads\":1,\"total_steps\":3,\"total_examples\":30}"
event '{"kind":"resumed","step":0,"examples":0}'
for step in 1 2 3; do
    echo "{\"attempt\":$attempt,\"step\":$step,\"examples\":${step}0,\"seconds\":$step,\"loss\":0.5}" >>"$dir/metrics.jsonl"
done

case $part in
complete) finish '{"kind":"completed"}' ;;
fail)
    echo "reading the data" >&2
    echo "panicked: the disk is full" >&2
    finish '{"kind":"failed","reason":"the disk is full"}'
    exit 1
    ;;
exit) exit 7 ;;
crash-once)
    [ "$attempt" = 1 ] && kill -9 $$
    finish '{"kind":"completed"}'
    ;;
hang | deaf)
    # The sleeper must not inherit the lock: it would outlive a killed worker.
    while :; do sleep 0.05 9>&-; done
    ;;
esac
