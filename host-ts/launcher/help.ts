/** What `wasmvisor --help` says. */
import { LIMITS } from "../guest/config.ts";
import { EXIT_CODE_HELP } from "./exit-codes.ts";

/** Rows of the profile's table, where --top does not say. */
export const TOP = 20;

/** Text of `wasmvisor --help`. */
export const HELP = `wasmvisor: runs 32-bit x86 paravirtual guests in WebAssembly

  wasmvisor demo [options]                   boot the embedded guest
  wasmvisor run --kernel FILE [options]      boot a kernel of yours
  wasmvisor profile --kernel FILE [options]  boot it and show where it spends its instructions
  wasmvisor bench WHAT [options]             what round trips and hypercalls cost; wasmvisor bench --help
  wasmvisor restore FILE [options]           go on with a guest that --save wrote
  wasmvisor run guest.cfg [options]          boot what a configuration file of xl's describes
  wasmvisor xenstore ls [PATH] [options]     boot a Xen guest and show its xenstore
  wasmvisor trace --policy [--abi xen-pv]    which traps and calls take which way on the two fault paths

Guest
  -k, --kernel FILE        vmlinux (ELF) or bzImage; with --abi bare a Multiboot 1 kernel, an ELF with a
                           PVH entry note, a bzImage, or a ROM image; detected
  -i, --initrd FILE        initial RAM disk
  -a, --append TEXT        kernel command line
  -m, --memory SIZE        RAM, such as 64M (the default) or 1G
      --abi NAME           paravirtual interface, lguest (the default) or xen-pv; or bare, a plain machine
                           with a serial port, whose debug-exit port sets the exit code
      --cpu NAME           i686 (the default), pentium3 (with MMX and SSE), pentium4 (with SSE2; the default
                           with --abi xen-pv), core2 (with SSE3 to SSE4.1) or max (with SSE4.2, SMEP, SMAP,
                           UMIP and what else there is)
      --cpus N             virtual processors, 1 (the default) to 8 (bare, xen-pv)
      --scramble N         give a Xen guest its machine frames in random order, from seed N (xen-pv)
      --module FILE        further module after the initial RAM disk (bare), by its file name; may be repeated
      --triple-fault HOW   kill (the default) or restart (bare)
      --on-stuck HOW       when all processors halt with interrupts off: end (the default), or wait for an NMI
                           (bare)
      --bus auto|page|pci  lguest devices: descriptor page (Linux up to 4.0), PCI (4.1 and later), or
                           found out at boot (the default)
      --fault-path WHERE   switcher (the default): traps, TLB misses and page-table calls complete inside
                           Wasm (lguest, xen-pv); host: the classic path, out to the Host and back for each
      --pae auto|on|off    page tables of an lguest guest; told by its first table by default
  -b, --block FILE[,HOW]   disk, a raw image; HOW is ro (read-only) or overlay (writes are dropped at the
                           end); may be repeated
      --net peer[:ADDRESS] network port to a small host that answers ARP and ping at 10.0.0.1 or ADDRESS, and
                           nothing else; may be repeated
      --net hub:NAME       network port on a hub, which joins the guests of one process: for programs that
                           embed several; a guest started from here is alone on it

Run
      --time virtual|real  virtual time follows executed instructions, so that every run is the same; real
                           time follows the clock (the default in a terminal, otherwise virtual)
      --reboot             boot again when the guest asks for a restart
      --seed N             seed of the guest's random-number device in virtual time
      --ns-per-instruction N   what an instruction takes in virtual time (default 1): for guests that wait by
                           looking at the clock
      --slice N            longest run of instructions between two looks at the outside world
      --nmi-every N        send the guest a non-maskable interrupt every N instructions
      --save FILE          when the guest suspends itself, for Ctrl-A Z or on SIGUSR2, write it to FILE and
                           end (xen-pv); a name that ends in .gz is packed
      --no-worker          run the guest on the main thread
      --tour               demo without a terminal: show what there is to see, then power off

Configuration files of xl's, or a name that ends in .cfg; what options say goes before what they say
  -c, --config FILE        kernel, ramdisk, cmdline, root, extra, memory, vcpus, name, disk, vif and on_reboot
                           of a Xen guest; what means nothing here is told, what cannot be had is refused

restore, with the options of run; memory, processors and name are the saved guest's
      --block, --net       as many as it had, in the same order
      --kernel FILE        what --reboot boots

xenstore ls, with the options of run; what the guest prints goes to the standard error
      --after SECONDS      show it then, and end the guest; without it, when the guest has ended
  -f, --full               whole paths
  -p, --perms              who may read and write each node

Profile, with the options of run; without --kernel the embedded guest shows what there is to see
      --every N            instructions between two samples (default ${LIMITS.everyInstructions.default.toLocaleString("en-US")})
      --stacks             follow frame pointers to the callers, where the kernel was built with them
      --top N              rows of the table (default ${TOP})
      --pprof FILE         write the samples for pprof
      --speedscope FILE    write the samples for www.speedscope.app
      --system-map FILE    the same as --symbols
      --user-elf FILE      the program whose symbols name what runs at ring 3, which otherwise counts by
                           address space

Diagnosis
      --stats              print what the guest did: exits, hypercalls, faults, speed
      --symbols FILE       System.map for crash reports and profiles, where the kernel image has no symbols
      --chaos N            drop all cached translations at random moments, from seed N
      --debug              print stack traces of errors
  -h, --help               this text
  -V, --version            the version

In a terminal, Ctrl-A X leaves, Ctrl-A T shows xenstore, Ctrl-A H lists the other keys. SIGTERM asks a Xen
guest to power off and ends it after ten seconds; other signals, and a second one, end it at once.

Exit codes
${EXIT_CODE_HELP.map(([code, text]) => `  ${String(code).padEnd(7)}${text}`).join("\n")}
`;
