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

for module in can can-raw can-dev vcan slcan; do
    insmod "/modules/$module.ko"
done
report guest up 0 "{\"kernel\": \"$(uname -r)\", \"seconds\": $(cut -d ' ' -f 1 /proc/uptime)}"
cd /release || poweroff -f

for name in vcan vcan-fd; do
    ip link add dev "$name" type vcan
    # 72 bytes: room for a CAN FD frame.
    ip link set "$name" mtu 72
    ip link set "$name" up
    bus=socketcan:$name
    [ "$name" = vcan-fd ] && bus="$bus?fd"
    sim --flash "/run/$name.flash" --bus "$bus" &
    device=$!
    sleep 1
    pipeline "$name" "$bus"
    kill -9 $device
    traffic "$name" "$name"
done

# The second UART leads to the board's own: a serial line that speaks slcan becomes a CAN interface.
slcand -o -s8 /dev/ttyS1 slcan0
sleep 1
ip link set slcan0 up
pipeline slcan socketcan:slcan0
traffic slcan slcan0

report guest done 0 null
poweroff -f
