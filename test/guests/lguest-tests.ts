/**
 * The microkernels of guests/tests as a table: what each must come to, and on which varieties of the ABI it means something.
 * The rule itself is the doc comment at the head of guests/tests/<name>/main.c.
 */
import type { GuestOptions } from "../../host-ts/index.ts";
import type { Variant } from "../../tools/guest-build.ts";

/** How a run must end. */
export type Expected =
  /** The guest reports SUCCESS and powers off. */
  | { readonly is: "success" }
  /** The Host kills it for this reason. */
  | { readonly is: "killed"; readonly reason: RegExp }
  | { readonly is: "panic"; readonly reason: RegExp }
  | { readonly is: "restart" }
  /** Any end that the Host gives a name to. */
  | { readonly is: "named" }
  /** It never ends by itself: halted, it waits for input that does not come. */
  | { readonly is: "asleep" };

/** One row. */
export interface Microkernel {
  readonly name: string;
  readonly expected: Expected;
  readonly buses: readonly Variant["bus"][];
  readonly pagings: readonly Variant["paging"][];
  /** What the Host must be told for the rule to show. */
  readonly options: Pick<GuestOptions, "nmiEvery">;
}

const BOTH_BUSES = ["page", "pci"] as const;
const BOTH_PAGINGS = ["2-level", "pae"] as const;
type Limits = Partial<Pick<Microkernel, "buses" | "pagings" | "options">>;

const row = (name: string, expected: Expected, limits: Limits): Microkernel => ({
  name,
  expected,
  buses: limits.buses ?? BOTH_BUSES,
  pagings: limits.pagings ?? BOTH_PAGINGS,
  options: limits.options ?? {},
});
const works = (name: string, limits: Limits = {}) => row(name, { is: "success" }, limits);
const dies = (name: string, reason: RegExp, limits: Limits = {}) =>
  row(name, { is: "killed", reason }, limits);

/** Rules in which page tables have no part run on one kind of them. */
const ONE_PAGING: Limits = { pagings: ["2-level"] };
const PAGE_BUS: Limits = { buses: ["page"], pagings: ["2-level"] };
const PCI_BUS: Limits = { buses: ["pci"], pagings: ["2-level"] };
const TWO_LEVEL: Limits = { pagings: ["2-level"] };
const PAE: Limits = { pagings: ["pae"] };

/** A kernel of random crimes; hostile.test.ts runs it with many seeds. */
export const HOSTILE = "hostile";

export const MICROKERNELS: readonly Microkernel[] = [
  // The way in and the way out
  works("start-state", ONE_PAGING),
  works("init-words", ONE_PAGING),
  works("init-unaligned", PAGE_BUS),
  dies("call-before-init", /^hypercall 5 before INIT$/, ONE_PAGING),
  dies("init-twice", /^already have lguest_data$/, ONE_PAGING),
  dies("init-bad-address", /^bad guest page 0xf0000000$/, ONE_PAGING),
  dies("init-wrapping-address", /^bad guest page 0xfffffff0$/, ONE_PAGING),
  dies("init-bad-syscall-vector", /^bad syscall vector$/, ONE_PAGING),
  dies("init-bad-kernel-address", /^bad kernel address 0xfffff000$/, ONE_PAGING),
  row("shutdown-panic", { is: "panic", reason: /the sky is falling/ }, ONE_PAGING),
  row("shutdown-restart", { is: "restart" }, ONE_PAGING),
  dies("shutdown-bad-text", /^bad read address 0xf0000000 len \d+$/, ONE_PAGING),
  row("halt-forever", { is: "asleep" }, ONE_PAGING),

  // Hypercalls
  works("hypercall-registers", ONE_PAGING),
  works("hypercall-from-ring3", ONE_PAGING),
  dies("bad-hypercall", /^Bad hypercall 99$/, ONE_PAGING),
  dies("bad-hypercall-gap", /^Bad hypercall 12$/, ONE_PAGING),
  dies("bad-hypercall-huge", /^Bad hypercall -1$/, ONE_PAGING),
  dies("notify-without-page-bus", /^Bad hypercall 17$/, PCI_BUS),
  dies("notify-bad-address", /^Bad NOTIFY 0xf0000000$/, PAGE_BUS),
  works("send-interrupts", ONE_PAGING),

  // The asynchronous ring
  works("ring-order", ONE_PAGING),
  works("ring-order-tables"),
  works("ring-wrap"),
  works("ring-stops-at-gap", ONE_PAGING),
  works("ring-any-call", ONE_PAGING),
  dies("ring-bad-call", /^Bad hypercall 99$/, ONE_PAGING),

  // Page tables
  works("linear-mode"),
  dies("linear-mode-past-ram", /^bad page table entry$/, ONE_PAGING),
  dies("new-pgtable-bad-address", /^(failed to get|bad guest) page 0xf0000/, ONE_PAGING),
  works("directories"),
  works("directory-reuse"),
  works("set-pgd"),
  dies("set-pgd-index", /^Attempt to set pgd 5000\/(1024|4)$/),
  works("set-pmd", PAE),
  dies("set-pmd-index", /^Attempt to set pmd 512/, PAE),
  works("set-pte-user"),
  works("set-pte-kernel"),
  works("set-pte-zero"),
  dies("set-pte-bad-frame", /^bad page table entry$/),
  dies("set-pte-reserved-top", /^attempt to set pte into Switcher pages$/),
  works("flush-tlb-user"),
  works("flush-tlb-all"),
  works("demand-mapping"),
  dies("bad-directory-entry", /^bad page directory entry$/, TWO_LEVEL),
  dies("bad-middle-entry", /^bad page middle directory entry$/, PAE),
  dies("bad-pdpt-entry", /^bad page directory entry$/, PAE),
  dies("bad-page-entry", /^bad page table entry$/),
  dies("bad-page-frame", /^bad page table entry$/),
  works("accessed-dirty"),
  works("write-protect"),
  works("page-fault-codes"),
  works("global-ignored"),
  works("page-crossing"),
  works("rep-restart"),
  works("mid-instruction"),
  works("conflicting-pages"),
  works("recursive-faults"),
  works("self-modifying"),

  // Descriptors and segments
  works("gdt-fix-ups", ONE_PAGING),
  dies("gdt-index", /^too many gdt entries 32$/, ONE_PAGING),
  works("tls", ONE_PAGING),
  dies("tls-bad-address", /^bad read address 0xf0000000 len 24$/, ONE_PAGING),
  works("segment-limits", ONE_PAGING),
  works("code16", ONE_PAGING),
  works("stack16", ONE_PAGING),
  works("iret-faults", ONE_PAGING),

  // Traps
  works("idt-ignored", ONE_PAGING),
  dies("idt-bad-type", /^bad IDT type 5$/, ONE_PAGING),
  dies("idt-bad-vector", /^Setting idt entry 256$/, ONE_PAGING),
  dies("idt-cleared", /^unhandled trap 6 at 0x[0-9a-f]+ \(0x0\)$/, ONE_PAGING),
  works("gate-kinds", ONE_PAGING),
  works("trap-gates", ONE_PAGING),
  works("gate-dpl", ONE_PAGING),
  works("set-stack-beside-code", ONE_PAGING),
  works("code-in-page-table", TWO_LEVEL),
  works("handler-segments", ONE_PAGING),
  works("error-codes"),
  works("ring1-frame", ONE_PAGING),
  works("ring3-frame"),
  works("single-step", ONE_PAGING),
  works("task-switched", ONE_PAGING),
  dies("set-stack-bad-segment", /^bad stack segment 0x68$/, ONE_PAGING),
  dies("set-stack-bad-pages", /^bad stack pages 3$/, ONE_PAGING),
  dies("set-stack-bad-page", /^bad stack page 0x40000fff$/),
  dies("stack-unmapped", /^Bad address 0x40000ffc$/),
  dies("trap-stack-gone", /^Bad address 0x40000ffc$/),
  dies("fault-stack-gone", /^Bad address 0x40000ffc$/),

  // Interrupts and time
  works("irq-pending", ONE_PAGING),
  works("irq-blocked", ONE_PAGING),
  works("irq-gate-absent", ONE_PAGING),
  works("irq-lowest-first", PAGE_BUS),
  works("noirq-window", PAGE_BUS),
  works("noirq-iret", ONE_PAGING),
  works("clockevent", ONE_PAGING),
  works("halt-wakes", ONE_PAGING),
  works("halt-with-pending", ONE_PAGING),
  works("ring3-preempted"),
  works("wall-clock", ONE_PAGING),
  works("time-stamp", ONE_PAGING),

  // Non-maskable interrupts
  works("nmi-frame", { ...ONE_PAGING, options: { nmiEvery: 1000 } }),
  works("nmi-every", { ...ONE_PAGING, options: { nmiEvery: 1000 } }),
  works("nmi-blocked", { ...ONE_PAGING, options: { nmiEvery: 1000 } }),
  works("nmi-window", { ...ONE_PAGING, options: { nmiEvery: 1009 } }),
  works("nmi-no-gate", { ...ONE_PAGING, options: { nmiEvery: 1000 } }),
  works("nmi-halted", ONE_PAGING),

  // Instructions that a paravirtual kernel meets
  works("port-io", ONE_PAGING),
  works("privileged", ONE_PAGING),
  works("popf", ONE_PAGING),
  works("debug-registers", ONE_PAGING),
  works("ring3-cannot", ONE_PAGING),
  works("cmpxchg8b", ONE_PAGING),
  works("cpuid", ONE_PAGING),

  // Devices
  works("device-page", PAGE_BUS),
  works("device-reset", PAGE_BUS),
  works("random-device", PAGE_BUS),
  dies("ring-descriptor-outside", /outside memory$/, PAGE_BUS),
  dies("device-finalise-twice", /twice without a reset/, PAGE_BUS),
  dies("device-kick-early", /before its features are settled/, PAGE_BUS),
  works("pci-configuration", PCI_BUS),
  works("pci-mmio", PCI_BUS),

  row(HOSTILE, { is: "named" }, {}),
];
