/**
 * The microkernels of guests/xen/tests as a table: what each must come to. The rule itself is the comment at the head of
 * guests/xen/tests/<name>/main.c.
 */
import type { GuestEnd } from "../../host-ts/index.ts";

/** How a run must end. */
export type Expected =
  /** The guest reports SUCCESS and powers off. */
  | { readonly is: "success" }
  /** It ends so before it can report, for this reason. */
  | { readonly is: "ends"; readonly kind: GuestEnd["kind"]; readonly reason: RegExp };

/** One row. */
export interface Microkernel {
  readonly name: string;
  readonly expected: Expected;
  /** What the guest waits for at its console. */
  readonly input: string;
  readonly vcpus: number;
}

const works = (name: string, input = "", vcpus = 1): Microkernel => ({
  name,
  expected: { is: "success" },
  input,
  vcpus,
});
const worksWithTwo = (name: string): Microkernel => works(name, "", 2);
const ends = (name: string, kind: GuestEnd["kind"], reason: RegExp): Microkernel => ({
  name,
  expected: { is: "ends", kind, reason },
  input: "",
  vcpus: 1,
});
const dies = (name: string, reason: RegExp) => ends(name, "killed", reason);

export const MICROKERNELS: readonly Microkernel[] = [
  // Start of day
  works("start-state"),
  works("suspend"),

  // Traps and callbacks
  works("trap-table"),
  works("trap-mask"),
  dies("trap-table-cleared", /^no handler for trap 6 \(.*\) at 0x[0-9a-f]+ \(0x0\)$/),
  dies("trap-null-handler", /^no handler for trap 6 /),
  works("trap-frame"),
  works("trap-from-ring3"),
  works("stack-switch"),
  dies("stack-gone", /^the kernel stack at 0x40000ffc cannot take a frame$/),
  dies("stack-in-hole", /^the kernel stack at 0xf5800ffc cannot take a frame$/),
  dies("stack-read-only", /^the kernel stack at 0x[0-9a-f]+7fc cannot take a frame$/),
  works("error-codes"),
  works("page-fault-codes"),
  works("nested-traps"),
  works("int-n"),
  works("int80"),
  works("callbacks"),
  works("iret-ring1"),
  dies("iret-ring0", /^the iret hypercall's frame at 0x[0-9a-f]+ leads to selector 0xe018$/),
  dies("iret-no-frame", /^the iret hypercall's frame at 0x40000000 cannot be read$/),
  works("iret-vm86"),
  works("iret-native"),
  works("failsafe"),
  works("trap-bad-handler"),
  dies("stack-bad-segment", /^the handler at 0xe019:0x[0-9a-f]+ cannot be entered$/),
  dies("failsafe-none", /^the handler at 0x103:0x[0-9a-f]+ cannot be entered$/),
  works("fpu-taskswitch"),
  works("debug-registers"),
  works("breakpoints"),
  works("step-emulated"),
  works("nmi"),

  // Descriptors and segments
  works("descriptors"),
  works("gdt"),
  works("ldt"),
  works("call-gate"),
  works("segment-limits"),

  // Page tables
  works("mmu-update"),
  works("mmu-update-domains"),
  works("machphys-update"),
  works("preserve-ad"),
  works("accessed-dirty"),
  works("update-va-mapping"),
  works("l1-entries"),
  works("l2-entries"),
  works("l3-entries"),
  works("pinning"),
  works("base-pointer"),
  works("base-pointer-flushes"),

  works("page-types"),
  works("no-execute"),
  works("linear-tables"),
  works("tables-read-only"),
  works("clear-copy-page"),
  works("tlb-flush"),
  works("writable-tables"),
  works("vm-assist"),
  works("hole"),

  // Calls as such
  works("hypercall-registers"),
  works("hypercall-unknown"),
  works("refused-calls"),
  works("arguments-cross-pages"),
  works("multicall"),
  works("multicall-iret"),
  works("multicall-long"),
  works("multicall-events"),

  // Privileged instructions and what a domain may know
  works("cpuid"),
  works("control-registers"),
  works("privileged"),
  works("sysenter"),
  works("msr"),
  works("time-stamp"),
  works("iopl"),
  works("iobitmap"),
  works("iopl-assist"),
  works("compat-calls"),
  works("xen-version"),

  // Events
  works("event-virq"),
  works("virq-debug", "\n", 2),
  works("event-ipi"),
  works("event-interdomain"),
  works("event-errors"),
  works("event-exhaustion"),
  works("event-mask"),
  works("event-upcall"),
  works("event-selector"),
  works("event-reset"),
  works("event-preempts"),
  works("event-fifo"),

  // Time
  works("timer-oneshot"),
  works("timer-singleshot"),
  works("time-info"),
  works("runstate"),

  // vCPU and scheduler
  works("vcpu-info"),
  works("vcpu-op"),
  ends("vcpu-down", "power-off", /^the domain shut down: power off$/),
  works("block"),
  ends("block-for-ever", "deadlocked", /^halted with no timer/),
  works("poll"),
  works("watchdog"),
  ends("watchdog-bites", "panic", /^the domain shut down: its watchdog expired$/),
  ends("shutdown-poweroff", "power-off", /^the domain shut down: power off$/),
  ends("shutdown-reboot", "restart", /^the domain shut down: reboot$/),
  ends("shutdown-crash", "panic", /^the domain shut down: crash$/),
  ends("shutdown-compat", "restart", /^the domain shut down: reboot$/),
  ends("shutdown-unknown", "panic", /^the domain shut down: reason 77$/),

  // Memory and grants
  works("reservation"),
  works("balloon"),
  works("balloon-errors"),
  works("exchange"),
  works("grant-table"),
  works("grant-copy"),
  works("neighbours"),
  works("grant-map"),

  // Services
  works("console-input", "hello\n"),
  works("xenstore"),

  // Several vCPUs
  worksWithTwo("vcpu-initialise"),
  worksWithTwo("vcpu-start"),
  worksWithTwo("vcpu-start-failsafe"),
  worksWithTwo("vcpu-down-up"),
  { ...ends("vcpu-down-last", "power-off", /power off/), vcpus: 2 },
  worksWithTwo("vcpu-ipi"),
  worksWithTwo("vcpu-timers"),
  worksWithTwo("vcpu-runstate"),
  worksWithTwo("vcpu-info-other"),
  worksWithTwo("vcpu-info-running"),
  worksWithTwo("vcpu-tlb"),
  worksWithTwo("vcpu-directories"),
  worksWithTwo("vcpu-nmi"),
];
