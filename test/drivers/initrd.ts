/**
 * An initial RAM disk for real Linux kernels: busybox, a console, and one script that does what `job=` on the kernel command
 * line says (the kernel hands unknown words of that form to init as its environment).
 * The archive format is cpio "newc" (Documentation/early-userspace/buffer-format.txt); kernels unpack it uncompressed too.
 */

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
const LINK = 0o120777;
const CHARACTER_DEVICE = 0o020600;
/** Device number of /dev/console: 5, 1. */
const CONSOLE: readonly [number, number] = [5, 1];

/** The busybox applets that the jobs use. */
const APPLETS =
  "sh mount umount cat echo seq md5sum cp dd sync reboot poweroff uname grep sleep read ls mkdir rm date stty ifconfig ping setsid cttyhack awk bc gzip gunzip sha256sum head tail".split(
    " ",
  );

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo USERLAND $(uname -r)
case "$job" in
loop)
  n=0
  for i in $(seq 1 50); do n=$((n + $(echo $i | grep -c 7))); done
  echo LOOP $n
  seq 1 20000 | md5sum ;;
console)
  echo READY
  read line
  echo "GOT $line" ;;
disk)
  mount -t ext2 /dev/vda /mnt && md5sum /mnt/given
  cp /mnt/given /mnt/copy && seq 1 5000 >/mnt/new && sync
  umount /mnt && echo UNMOUNTED ;;
flush)
  dd if=/dev/zero of=/dev/vda bs=512 count=1 conv=fsync 2>/dev/null ;;
rng)
  echo RNG $(dd if=/dev/hwrng bs=16 count=1 2>/dev/null | md5sum) ;;
serve)
  ifconfig eth0 10.0.0.1 && echo SERVING && sleep 1000 ;;
ping)
  ifconfig eth0 10.0.0.2 && ping -c 3 -W 5 10.0.0.1 && echo ANSWERED ;;
size)
  echo READY
  while read line; do echo SIZE $(stty size); done ;;
time)
  echo DATE $(date +%s)
  sleep 1
  echo DATE $(date +%s) ;;
nmi)
  echo READY
  read line
  grep NMI: /proc/interrupts ;;
idle)
  echo IDLE
  sleep 1000 ;;
shell)
  setsid cttyhack sh ;;
crash)
  echo c >/proc/sysrq-trigger ;;
reboot)
  reboot -f ;;
panic)
  exit 3 ;;
extra)
  cd /extra && sh run && echo FINISHED ;;
esac
poweroff -f
`;

/**
 * Builds the archive around a static 32-bit busybox. The job `extra` runs the script `run` of the extra programs, which lie in /extra
 * by name.
 */
export function buildInitrd(
  busybox: Uint8Array,
  extra: ReadonlyMap<string, Uint8Array> = new Map(),
): Uint8Array {
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  const none = new Uint8Array(0);
  const entries = [
    ...["bin", "dev", "proc", "mnt", "extra"].map((name) => entry(name, DIRECTORY, none)),
    entry("dev/console", CHARACTER_DEVICE, none, CONSOLE),
    entry("bin/busybox", PROGRAM, busybox),
    ...APPLETS.map((name) => entry(`bin/${name}`, LINK, text("busybox"))),
    entry("init", PROGRAM, text(INIT)),
    ...[...extra].map(([name, content]) => entry(`extra/${name}`, PROGRAM, content)),
    entry("TRAILER!!!", 0, none),
  ];
  return Buffer.concat(entries);
}

let nextInode = 1;

function entry(
  name: string,
  mode: number,
  content: Uint8Array,
  device: readonly [number, number] = [0, 0],
): Uint8Array {
  const hex = (value: number): string => value.toString(16).padStart(8, "0");
  const nameBytes = name.length + 1;
  const words = [nextInode++, mode, 0, 0, 1, 0, content.length, 0, 0, ...device, nameBytes, 0];
  const header = Buffer.from(`070701${words.map(hex).join("")}${name}\0`, "latin1");
  return Buffer.concat([padded(header), padded(content)]);
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  whole.set(bytes);
  return whole;
}
