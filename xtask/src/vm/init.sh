#!/bin/busybox sh
# The guest's only program: brings up CAN, runs the updates, reports each step on the third UART as one line
# of JSON, and powers off. Nothing is judged here.

/bin/busybox --install -s /bin
mount -t devtmpfs devices /dev
mount -t proc processes /proc
mount -t sysfs system /sys
export PATH=/bin HOME=/run

# report CASE STEP EXIT ANSWER
report() {
    echo "{\"case\": \"$1\", \"step\": \"$2\", \"exit\": $3, \"answer\": $4}" > /dev/ttyS2
}

# run CASE STEP COMMAND...: the answer is the last line of stdout, which is JSON.
run() {
    name=$1
    step=$2
    shift 2
    echo "== $name $step: $*"
    timeout 300 "$@" > /run/stdout
    code=$?
    last=$(tail -n 1 /run/stdout)
    report "$name" "$step" "$code" "${last:-null}"
}

# traffic CASE INTERFACE: what crossed the interface, by the kernel's own count.
traffic() {
    counts=/sys/class/net/$2/statistics
    report "$1" traffic 0 \
        "{\"interface\": \"$2\", \"frames\": $(cat "$counts/tx_packets"), \"bytes\": $(cat "$counts/tx_bytes")}"
}

# pipeline CASE BUS: a factory-fresh device is provisioned, gets its first application and an update.
pipeline() {
    run "$1" provision updater-host --json --bus "$2" provision device.cbor
    for release in 1.0.0 2.0.0; do
        run "$1" "$release" updater-host --json --bus "$2" update \
            --release "$release.suit" --image "$release.bin" --anchor root.cose --yes
    done
    run "$1" info updater-host --json --bus "$2" info
}

# device CASE BUS: the simulated device, when its loader has begun to listen.
device() {
    sim --flash "/run/$1.flash" --bus "$2" > "/run/$1.log" 2>&1 &
    device=$!
    for _ in $(seq 60); do
        grep -q "the loader stays" "/run/$1.log" && return
        sleep 1
    done
}

# tests MODULE: the tests of can-bus/tests/vcan.rs in a module.
tests() {
    echo "== can-bus $1"
    timeout 300 vcan-tests --test-threads=1 "$1::" > /run/stdout 2>&1
    code=$?
    cat /run/stdout
    passed=$(sed -n 's/^test result: ok. \([0-9]*\) passed.*/\1/p' /run/stdout)
    report can-bus "$1" "$code" "{\"passed\": ${passed:-0}}"
}

# interface NAME
interface() {
    ip link add dev "$1" type vcan
    # 72 bytes: room for a CAN FD frame.
    ip link set "$1" mtu 72
    ip link set "$1" up
}

for module in can can-raw can-dev slcan sch_netem; do
    insmod "/modules/$module.ko"
done
report guest up 0 "{\"kernel\": \"$(uname -r)\", \"seconds\": $(cut -d ' ' -f 1 /proc/uptime)}"
cd /release || poweroff -f

# The kernel echoes what a driver of CAN does not. The first interface is one of a driver that does not.
insmod /modules/vcan.ko
interface vcan
device vcan socketcan:vcan
pipeline vcan socketcan:vcan
kill -9 $device
cat /run/vcan.log
traffic vcan vcan
tests plain
ip link delete vcan
rmmod vcan

insmod /modules/vcan.ko echo=1
interface vcan-fd
device vcan-fd "socketcan:vcan-fd?fd"
pipeline vcan-fd "socketcan:vcan-fd?fd"
kill -9 $device
cat /run/vcan-fd.log
traffic vcan-fd vcan-fd
interface vcan-slow
# A frame counts 16 bytes: 20 ms each, four of them at most.
/bin/tc qdisc add dev vcan-slow root netem rate 6400bit limit 4
tests slow

# The second UART leads to the board's own: a serial line that speaks slcan becomes a CAN interface.
slcand /dev/ttyS1 slcan0
sleep 1
# Sets the bit rate over netlink and brings the interface up.
tests serial
pipeline slcan socketcan:slcan0
traffic slcan slcan0

report guest done 0 null
poweroff -f
