/**
 * The published vCPU block, the guest block, and the exit record: what the core, the Host, the snapshot and the JIT all see.
 *
 * A vCPU block is one 4 KiB pool frame; every field is little-endian and at a fixed byte offset from the block's base.
 * Nothing that another party must see lives anywhere else. Plain constants, valid as AssemblyScript and as TypeScript.
 */

// ---------------------------------------------------------------------------------------------------------------
// vCPU block: registers
// ---------------------------------------------------------------------------------------------------------------

/** u32[8], EAX ECX EDX EBX ESP EBP ESI EDI. Byte registers are at `4*(n&3) + (n>>2)`. */
export const VCPU_GPR = 0x000;
/** Always 0: stands for an absent base or index register in a micro-op. */
export const VCPU_ZERO = 0x020;
/** Linear address computed by an address-generation micro-op (segments that are not flat, 16-bit addressing). */
export const VCPU_EA = 0x024;
/** Scratch value between the micro-ops of one instruction. */
export const VCPU_TMP = 0x028;
/** u32, offset of the next instruction in CS. */
export const VCPU_EIP = 0x02c;
/** u32, every EFLAGS bit but the arithmetic ones (EFLAGS_ARITH is 0 here; bit 1 is set). */
export const VCPU_EFLAGS = 0x030;
/** Lazy flags, see core-as/state/flags.ts: result, sign-extended to 32 bits. */
export const VCPU_FLAG_RES = 0x034;
/** Lazy flags: bit 31 CF, bit 31 xor bit 30 OF, bit 3 AF, bit 0 SF delta, bits 8-15 parity delta. */
export const VCPU_FLAG_AUX = 0x038;
/** i32, instructions left in the run slice; exact whenever the core is not inside a block. */
export const VCPU_BUDGET = 0x03c;
/** u64, instructions retired since the vCPU was created; exact at every exit. */
export const VCPU_RETIRED = 0x040;
/** u32, 0-3. */
export const VCPU_CPL = 0x048;
/** u32, code-cache mode: MODE_* bits. */
export const VCPU_MODE = 0x04c;
/** Pointer to the TLB that serves the current directory and privilege; owned by the running thread, 0 while asleep. */
export const VCPU_TLB = 0x050;
/** Pointer to the guest block. */
export const VCPU_GUEST = 0x054;
/** u32, trap policy: POLICY_*. */
export const VCPU_POLICY = 0x058;
/** u32, how linear addresses become guest-physical ones: PAGING_*. */
export const VCPU_PAGING = 0x05c;
/** Eight segment registers of 16 bytes: ES CS SS DS FS GS LDTR TR. */
export const VCPU_SEGS = 0x060;
export const SEG_STRIDE = 16;
export const SEG_SELECTOR = 0;
export const SEG_BASE = 4;
/** u32, last valid byte offset (granularity applied); for expand-down segments the last *invalid* one. */
export const SEG_LIMIT = 8;
/** u32, ATTR_* of abi/x86.ts. */
export const SEG_ATTR = 12;

export const VCPU_CR0 = 0x0e0;
export const VCPU_CR2 = 0x0e4;
export const VCPU_CR3 = 0x0e8;
export const VCPU_CR4 = 0x0ec;
/** u32[4], DR0-DR3. */
export const VCPU_DR0 = 0x0f0;
export const VCPU_DR6 = 0x100;
export const VCPU_DR7 = 0x104;
export const VCPU_GDTR_BASE = 0x108;
export const VCPU_GDTR_LIMIT = 0x10c;
export const VCPU_IDTR_BASE = 0x110;
export const VCPU_IDTR_LIMIT = 0x114;
/** u64[4], the PDPT entries that PAE keeps in registers. */
export const VCPU_PDPTE = 0x118;
export const VCPU_SYSENTER_CS = 0x138;
export const VCPU_SYSENTER_ESP = 0x13c;
export const VCPU_SYSENTER_EIP = 0x140;
export const VCPU_EFER = 0x144;
/** u64, added to the derived time-stamp counter. */
export const VCPU_TSC_OFFSET = 0x148;
/** u32, time-stamp ticks per retired instruction (1 or more). */
export const VCPU_TSC_RATIO = 0x150;
/** u32, CPU_MODEL_*: what CPUID says and which instructions exist. Call updateMode after a change. */
export const VCPU_CPU_MODEL = 0x154;
/** u64, IA32_PAT. */
export const VCPU_PAT = 0x158;
/** u64, IA32_APIC_BASE. */
export const VCPU_APIC_BASE = 0x160;
/** u64, bit n: slot n of the asynchronous ring was ready when the hypercall being served was made. */
export const VCPU_LG_RING_READY = 0x168;

// ---------------------------------------------------------------------------------------------------------------
// vCPU block: events
// ---------------------------------------------------------------------------------------------------------------

/** u32, EVENT_*: why the current instruction could not retire; EVENT_NONE in between. */
export const VCPU_EVENT = 0x170;
/** u32, vector of the pending fault or trap. */
export const VCPU_FAULT_VECTOR = 0x174;
/** u32, its error code (meaningful for VECTORS_WITH_ERROR_CODE). */
export const VCPU_FAULT_ERROR = 0x178;
/** u32, the linear address for #PF. */
export const VCPU_FAULT_ADDRESS = 0x17c;
/** u64, VCPU_RETIRED right after STI, MOV SS or POP SS: while equal, interrupts are held off for one instruction. */
export const VCPU_SHADOW = 0x180;
/** u64, VCPU_RETIRED + 1 while EFLAGS.RF is set: the next instruction runs past its breakpoint. RF is 0 in VCPU_EFLAGS always. */
export const VCPU_RESUME = 0x3b8;
/** u64, VCPU_RETIRED + 1 right after MOV SS or POP SS: while so, debug exceptions wait for one instruction. */
export const VCPU_DEBUG_SHADOW = 0x3b0;
/**
 * u32, DEBUG_*: which breakpoints are armed, and the DR6 bits of a debug trap that waits for its instruction boundary. The armed bits follow
 * from DR7; whoever writes debug registers into the block has the core drop the vCPU's translations.
 */
export const VCPU_DEBUG = 0x3a8;
/** u32, 1 while the instruction being executed runs alone, outside any cached block. */
export const VCPU_ALONE = 0x3ac;
/** u32, 1 while the Host waits for EFLAGS.IF to open: the core leaves with EXIT_INTERRUPT_WINDOW when it does. */
export const VCPU_WANT_WINDOW = 0x188;
/** u32, NMI_*: what is known of non-maskable interrupts. One that waits and is not blocked is taken at the next instruction boundary. */
export const VCPU_NMI = 0x18c;
/** Pointer to the directory context (two TLBs) in use; owned by the running thread, meaningless while asleep. */
export const VCPU_CONTEXT = 0x190;
/** Pointer to the frame of u64 counters, see COUNTER_*. */
export const VCPU_COUNTERS = 0x194;
/** u32, vCPU number within the guest. */
export const VCPU_ID = 0x198;
/** u32, 1 when debug mode drops all cached translations at pseudo-random moments. */
export const VCPU_CHAOS = 0x19c;
/** u32, state of the generator behind VCPU_CHAOS. */
export const VCPU_CHAOS_SEED = 0x1a0;
/** Pointer to the block header being executed (thread-owned, meaningless while asleep). */
export const VCPU_BLOCK = 0x1a4;
/** Double-fault detection: vector being delivered, or NO_VECTOR. */
export const VCPU_DELIVERING = 0x1a8;
export const NO_VECTOR = 0xffffffff | 0;

/** Exit record: reason, then up to eight words whose meaning the reason gives. */
export const VCPU_EXIT_REASON = 0x1b0;
export const VCPU_EXIT_ARG = 0x1b4;
/** u32, EIP of the INT instruction behind a pending EVENT_TRAP: where a refused one faults. */
export const VCPU_INT_EIP = 0x1d4;

/**
 * Memory-mapped accesses that the Host has already performed for the instruction about to be re-executed.
 * COUNT entries are valid; CURSOR is how many the re-execution has consumed. An entry is {u32 value low, u32 value high}.
 */
export const VCPU_MMIO_COUNT = 0x1d8;
export const VCPU_MMIO_CURSOR = 0x1dc;
export const VCPU_MMIO_VALUES = 0x580;
/** FXSAVE needs 42, FNSAVE 45. */
export const MMIO_QUEUE_MAX = 48;

/** u64, IA32_MISC_ENABLE, in models that have it. */
export const VCPU_MISC_ENABLE = 0x1e0;
/** u32, IA32_SPEC_CTRL. */
export const VCPU_SPEC_CTRL = 0x1e8;
/** u32, 1 while FERR# is asserted: a waiting x87 instruction met a pending exception with CR0.NE clear. */
export const VCPU_FERR = 0x1ec;
/** u32, 1 when the recorded fault is that of a flat operand past 4 GiB: which vector it has depends on the operand's segment. */
export const VCPU_PAST_END = 0x1f0;

// ---------------------------------------------------------------------------------------------------------------
// vCPU block: x87, MMX, SSE
// ---------------------------------------------------------------------------------------------------------------

/** u32 each. FTW is the full 16-bit tag word; TOP lives in FSW. */
export const VCPU_FCW = 0x220;
export const VCPU_FSW = 0x224;
export const VCPU_FTW = 0x228;
export const VCPU_FOP = 0x22c;
export const VCPU_FIP = 0x230;
export const VCPU_FCS = 0x234;
export const VCPU_FDP = 0x238;
export const VCPU_FDS = 0x23c;
export const VCPU_MXCSR = 0x240;
/** u32, IA32_TSC_AUX: what RDTSCP and RDPID tell. */
export const VCPU_TSC_AUX = 0x244;
/** u64, value of VCPU_RETIRED at which the periodic NMI is due next; 0 when there is none. */
export const VCPU_NMI_NEXT = 0x248;
/** Eight physical x87 registers of 16 bytes: u64 significand, u16 sign and exponent, 6 bytes zero. */
export const VCPU_FPR = 0x250;
export const FPR_STRIDE = 16;
/** Eight XMM registers of 16 bytes. */
export const VCPU_XMM = 0x2d0;

// ---------------------------------------------------------------------------------------------------------------
// vCPU block: descriptor tables held by the Host, and the lguest personality's words
// ---------------------------------------------------------------------------------------------------------------

/** u32, number of 8-byte descriptors in VCPU_HELD_GDT that replace the table at GDTR; 0 when the guest's own is used. */
export const VCPU_HELD_GDT_COUNT = 0x350;
/** Instead of a number: the table is a Xen guest's, in the machine frames of VCPU_XEN_GDT_FRAMES, with Xen's own page after them. */
export const HELD_GDT_XEN = 0x10000;
/** u32, guest-physical address of struct lguest_data, 0 before LGUEST_INIT. */
export const VCPU_LG_DATA = 0x358;
/** u32, SS and ESP of the last SET_STACK. */
export const VCPU_LG_STACK_SS = 0x35c;
export const VCPU_LG_STACK_ESP = 0x360;
/** u32, first address of the guest kernel (lguest_data.kernel_address). */
export const VCPU_LG_KERNEL = 0x368;
/** u32, the system-call vector accepted at LGUEST_INIT. */
export const VCPU_LG_SYSCALL_VECTOR = 0x36c;
/** u32, next slot of the asynchronous ring. */
export const VCPU_LG_RING_CURSOR = 0x370;
/** u32, pending interrupts, bit n for IRQ n. */
export const VCPU_LG_IRQS_PENDING = 0x374;
/** u32, EIP window in which no interrupt may be delivered: start <= EIP < end. */
export const VCPU_LG_NOIRQ_START = 0x378;
export const VCPU_LG_NOIRQ_END = 0x37c;
/** u32, 1 when the guest halted by hypercall. */
export const VCPU_HALTED = 0x380;
/** u32, LG_PAE_*: whether NEW_PGTABLE takes a PDPT. Where the Host left it open, the first table decides. */
export const VCPU_LG_PAE = 0x384;
/** u32, guest-physical address of a NOTIFY that no device has seen yet, 0 when there is none. */
export const VCPU_LG_NOTIFY = 0x388;
/** u32, first linear address of the reserved top of the address space; 0 when nothing is reserved. */
export const VCPU_LG_SWITCHER = 0x354;
/** u32, 1 while a hypercall waits for the rest of the asynchronous ring: the core resumes it when it is entered. */
export const VCPU_LG_DRAINING = 0x1ac;

/** x87 scratch, meaningless between instructions: u64 significand and u32 sign and exponent of the result being formed, */
export const VCPU_FX_SIG = 0x390;
export const VCPU_FX_SE = 0x398;
/** ... u32 exceptions (and C1, stack fault) it raises, in status-word places, */
export const VCPU_FX_FLAGS = 0x39c;
/** ... u64 second half of a 128-bit or two-valued result. */
export const VCPU_FX_LOW = 0x3a0;

/** 32-byte bounce buffer for accesses that straddle two pages. */
export const VCPU_BOUNCE = 0x3c0;
/** While BOUNCE is in use for a write: host pointers of the two halves and the length of the first. */
export const VCPU_BOUNCE_FIRST = 0x3e0;
export const VCPU_BOUNCE_SECOND = 0x3e4;
export const VCPU_BOUNCE_SPLIT = 0x3e8;
export const VCPU_BOUNCE_SIZE = 0x3ec;
/** u32, these bits: a half goes to device memory, and its word above is a guest-physical address. */
export const VCPU_BOUNCE_MMIO = 0x3f0;
export const BOUNCE_FIRST_MMIO = 1;
export const BOUNCE_SECOND_MMIO = 2;
/** u32 each, the descriptor that readDescriptor of core-as/protect/segments.ts fetched last: low and high dword. */
export const VCPU_DESC_LO = 0x3f4;
export const VCPU_DESC_HI = 0x3f8;
/** u32, stack pointer that innerStack of core-as/protect/stack.ts took from the TSS. */
export const VCPU_INNER_ESP = 0x3fc;

/** 32 descriptors. */
export const VCPU_HELD_GDT = 0x400;
/** u32[32], bit n: translations of a large page in the n-th 4 MiB may be cached, so one INVLPG there drops them all. */
export const VCPU_LARGE_PAGES = 0x500;

// ---------------------------------------------------------------------------------------------------------------
// vCPU block: the Xen personality's words. A Xen guest has no device memory: they lie where other guests have the queue of such accesses
// ---------------------------------------------------------------------------------------------------------------

/** u32, machine address of this vCPU's struct vcpu_info, 0 before the Host has set one. */
export const VCPU_XEN_INFO = 0x580;
/** u32, SS and ESP of stack_switch: the stack for traps out of ring 3. */
export const VCPU_XEN_KERNEL_SS = 0x584;
export const VCPU_XEN_KERNEL_SP = 0x588;
/** u32, selector and EIP of the event callback, of the failsafe callback and of those that only a 64-bit processor calls. */
export const VCPU_XEN_EVENT_CS = 0x58c;
export const VCPU_XEN_EVENT_EIP = 0x590;
export const VCPU_XEN_FAILSAFE_CS = 0x594;
export const VCPU_XEN_FAILSAFE_EIP = 0x598;
export const VCPU_XEN_SYSCALL_CS = 0x59c;
export const VCPU_XEN_SYSCALL_EIP = 0x5a0;
export const VCPU_XEN_SYSENTER_CS = 0x5a4;
export const VCPU_XEN_SYSENTER_EIP = 0x5a8;
/** u32, bit n: callback of type n (CALLBACKTYPE_*) is entered with the upcall mask set. */
export const VCPU_XEN_CALLBACK_MASKS = 0x5ac;
/** u32, virtual I/O privilege level, 0-3. */
export const VCPU_XEN_IOPL = 0x5b0;
/** u32, linear address of the guest's bitmap of forbidden ports, and how many ports it covers. */
export const VCPU_XEN_IOBITMAP = 0x5b4;
export const VCPU_XEN_IOBITMAP_PORTS = 0x5b8;
/** u32, linear address and descriptors of the LDT. */
export const VCPU_XEN_LDT_BASE = 0x5bc;
export const VCPU_XEN_LDT_ENTRIES = 0x5c0;
/** u32, descriptors of set_gdt; u32[14], machine frames of the GDT, 0 where there is none. Written by the core (xenSetGdtFrame). */
export const VCPU_XEN_GDT_ENTRIES = 0x5c4;
export const VCPU_XEN_GDT_FRAMES = 0x5c8;
export const XEN_GDT_FRAMES_MAX = 14;
/** u32[16], machine frames of the LDT whose descriptors were checked, 0 for those that nobody needed yet. */
export const VCPU_XEN_LDT_FRAMES = 0x600;
export const XEN_LDT_FRAMES_MAX = 16;
/** u32, hypercall being performed; u32[6], its arguments. A call that was not finished leaves those to go on with. */
export const VCPU_XEN_CALL = 0x640;
export const VCPU_XEN_ARGS = 0x644;
export const XEN_ARGS_MAX = 6;
/** u32, linear address of the multicall entry in progress, and entries left with it: 0 when no multicall waits for the Host. */
export const VCPU_XEN_MC_ENTRY = 0x65c;
export const VCPU_XEN_MC_LEFT = 0x660;
/** u32, 1 when the Host has answered the entry: the list goes on at the next entry to the core. */
export const VCPU_XEN_MC_ANSWERED = 0x664;
/** u32, 1 when the guest makes CPUID of its processes fault (MSR_MISC_FEATURES_ENABLES). */
export const VCPU_XEN_CPUID_FAULTING = 0x668;
/** u32[2], bit n: hypercall n leaves with EXIT_HYPERCALL although the core could perform it. Others that the core does not know always do. */
export const VCPU_XEN_LEAVING_CALLS = 0x66c;
/** u32, not 0: the descriptor at this byte offset plus 1 of the LDT was needed and its page is not checked yet. */
export const VCPU_XEN_LDT_MISS = 0x674;
/** u32, what the hypercall being performed returns. */
export const VCPU_XEN_RESULT = 0x678;
/** u32, kHz of the time-stamp counter, for CPUID. */
export const VCPU_XEN_TSC_KHZ = 0x67c;
/** u32, work done since the guest made the hypercall being performed: a long one stops by this count, not by the length of the slice. */
export const VCPU_XEN_WORK = 0x680;
/**
 * u32, 1 when the guest is to be called if an event waits: after a trap or call of its own, and when the Host has raised one or begins its
 * turn. What the guest opens by a store alone waits until then, so that a slice may end anywhere.
 */
export const VCPU_XEN_LOOK = 0x684;
/** u32[14], the list of a set_gdt while its frames are checked, which may change what the guest's memory has there. */
export const VCPU_XEN_GDT_LIST = 0x688;

// ---------------------------------------------------------------------------------------------------------------
// vCPU block: which way traps and calls take (how a guest is run, and no part of its state)
// ---------------------------------------------------------------------------------------------------------------

/**
 * u32[8], bit n: a trap with vector n leaves with EXIT_TRAP, unless its gate is one that the processor enters without the Host. With bit 14
 * a TLB miss of the guest leaves too, with EXIT_SHADOW_FAULT. The Host writes both masks from its table of policies.
 */
export const VCPU_LEAVING_TRAPS = 0x700;
/** u32, bit n: hypercall n leaves with EXIT_HYPERCALL. Bit 0 (FLUSH_ASYNC) stands for the asynchronous ring: the Host drains it. */
export const VCPU_LEAVING_CALLS = 0x720;
/** u32, not 0 while guest instructions are executed whose TLB misses leave. */
export const VCPU_SHADOW_FAULTS = 0x724;
/** u64 and u32, VCPU_RETIRED at the last trap that was delivered, and how many came before it at the same count. */
export const VCPU_IDLE_TRAPS_AT = 0x728;
export const VCPU_IDLE_TRAPS = 0x730;
/**
 * u32 count, u64 VCPU_RETIRED, u32[SHADOW_GRANTS_MAX] page and PFERR_* kind: what the Host has mapped for one instruction. A miss there is
 * filled without leaving again, so that an instruction whose pages drive each other out of the TLB gets on.
 */
export const VCPU_SHADOW_GRANTS = 0x734;
export const VCPU_SHADOW_GRANTS_AT = 0x738;
export const VCPU_SHADOW_GRANT = 0x740;
export const SHADOW_GRANTS_MAX = 16;
/** u64, VCPU_RETIRED at which debug mode drops the translations next: a miss that the Host fills does not bring that forward. */
export const VCPU_CHAOS_UNTIL = 0x780;

/** u32, 1 while the Host's clock is told of every change of PHASE_*, for measurements; otherwise 0. */
export const VCPU_PHASES = 0x7f8;
/** 256 gates of 8 bytes, present bit clear when empty: the interrupt table that lguest guests register by hypercall. */
export const VCPU_HELD_IDT = 0x800;
export const HELD_GATE_BYTES = 8;
/** A Xen guest's have another form: u32 EIP, u16 selector, u16 flags (TRAP_INFO_*); a selector of 0 is an empty one. */
export const HELD_GATE_CS = 4;
export const HELD_GATE_FLAGS = 6;
/** In the high dword of a gate. */
export const HELD_GATE_PRESENT = 0x8000;
/** Size of the block, one pool frame. */
export const VCPU_SIZE = 0x1000;

// ---------------------------------------------------------------------------------------------------------------
// Values of the fields above
// ---------------------------------------------------------------------------------------------------------------

/** VCPU_MODE bits: everything a decoded block depends on besides its bytes. */
export const MODE_CODE32 = 1;
export const MODE_STACK32 = 2;
/** CS, SS, DS and ES have base 0, limit 4 GiB and full rights: no segment arithmetic in the block. */
export const MODE_FLAT = 4;
/** Three bits: the CPU model, which decides what opcodes exist. */
export const MODE_MODEL_SHIFT = 3;

/**
 * VCPU_CPU_MODEL, each with what the one before it has: x87 only; MMX and SSE; SSE2; SSE3 to SSE4.1; SSE4.2, POPCNT, MOVBE, RDTSCP,
 * RDPID, SMEP, SMAP and UMIP.
 */
export const CPU_MODEL_I686 = 0;
export const CPU_MODEL_PENTIUM3 = 1;
export const CPU_MODEL_PENTIUM4 = 2;
export const CPU_MODEL_CORE2 = 3;
export const CPU_MODEL_MAX = 4;
export const CPU_MODELS = 5;

/** VCPU_NMI: an NMI was delivered and no IRET was executed since; */
export const NMI_BLOCKED = 1;
/** ... an NMI waits. There is never more than one: a second is lost in it. */
export const NMI_PENDING = 2;
/** ... the IRET that ends the blocking has begun: until it has retired or faulted nothing is taken. */
export const NMI_IRET = 4;

/** VCPU_DEBUG: DR6 bits that wait, then what is armed: execution, data and port breakpoints. */
export const DEBUG_PENDING = 0xffff;
export const DEBUG_EXECUTE = 0x10000;
export const DEBUG_DATA = 0x20000;
export const DEBUG_PORT = 0x40000;
export const DEBUG_ARMED = 0x70000;

/** VCPU_POLICY: who decides what a trap means. */
export const POLICY_NATIVE = 0;
export const POLICY_LGUEST = 1;
export const POLICY_XEN = 2;
/** Every trap leaves with EXIT_TRAP: the Host judges (CPU tests, tracing). */
export const POLICY_EXIT = 3;

/** VCPU_LG_PAE. */
export const LG_PAE_AUTO = 0;
export const LG_PAE_ON = 1;
export const LG_PAE_OFF = 2;

/** VCPU_PAGING. */
export const PAGING_NONE = 0;
export const PAGING_32 = 1;
export const PAGING_PAE = 2;

/** What the core tells the clock of the Host that it begins: the guest's own work, */
export const PHASE_GUEST = 0;
/** ... leaving the instruction that trapped, and finding out what the trap means, */
export const PHASE_TRAP = 1;
/** ... walking the guest's page tables, */
export const PHASE_WALK = 2;
/** ... building the frame of a trap, or entering a translation into the TLB, */
export const PHASE_REFLECT = 3;
/** ... the guest's handler, */
export const PHASE_HANDLER = 4;
/** ... a paravirtual call, */
export const PHASE_HYPERCALL = 5;
/** ... the return from the handler, */
export const PHASE_RETURN = 6;
/** ... or what was interrupted by the last walk or call. */
export const PHASE_END = 7;

/** VCPU_EVENT: what stopped an instruction before it changed anything. */
export const EVENT_NONE = 0;
/** A fault: vector, error code and address are recorded. */
export const EVENT_FAULT = 1;
/** The instruction must run alone, outside any cached block (it stores into its own code). */
export const EVENT_STEP = 2;
/** An access to device memory: the exit record is filled, the Host performs it, the instruction is executed again. */
export const EVENT_MMIO = 3;
/** The guest broke a rule of its ABI: the exit record names it. */
export const EVENT_KILL = 4;
/** The instruction retired and the Host must act: the exit record is filled. */
export const EVENT_EXIT = 5;
/** A trap that is delivered after the instruction retired (INT n, INTO, single step). */
export const EVENT_TRAP = 6;
/** A TLB miss that the Host fills: the exit record is filled, the instruction is executed again. */
export const EVENT_SHADOW_FAULT = 7;
/** The Host must act before the instruction: the exit record is filled, the instruction is executed again. */
export const EVENT_BEFORE = 8;

/** VCPU_EXIT_REASON and the meaning of VCPU_EXIT_ARG[0..]. */
export const EXIT_BUDGET = 0;
/** [0] number, [1..5] arguments: a call the core leaves to the Host. EIP is past the instruction. */
export const EXIT_HYPERCALL = 1;
/** [0] vector, [1] error code, [2] address: a trap the Host must judge; EIP is at the instruction, or past an INT n. */
export const EXIT_TRAP = 2;
/** HLT or a halting hypercall. EIP is past the instruction. */
export const EXIT_HALT = 3;
/**
 * [0] port, [1] bytes, [2] 0 for IN: the Host writes AL/AX/EAX and EIP is past the instruction;
 * [2] 1 for INS: the Host appends the value to the MMIO queue and EIP is at the instruction, which runs again.
 */
export const EXIT_IO_IN = 4;
/** [0] port, [1] bytes, [2] value. EIP is past the instruction. */
export const EXIT_IO_OUT = 5;
/** [0] guest-physical address, [1] bytes (1, 2, 4, 8): the Host appends the value to the MMIO queue. */
export const EXIT_MMIO_READ = 6;
/** [0] guest-physical address, [1] bytes, [2] value, [3] value high: the Host appends an empty entry to the MMIO queue. */
export const EXIT_MMIO_WRITE = 7;
/** [0] KILL_*, [1..] its arguments: the guest dies with a named reason. */
export const EXIT_KILL = 8;
/** A fault while delivering a double fault. */
export const EXIT_TRIPLE_FAULT = 9;
/** EFLAGS.IF opened while VCPU_WANT_WINDOW was set. */
export const EXIT_INTERRUPT_WINDOW = 10;
/** The pool of frames is exhausted and could not grow. */
export const EXIT_OUT_OF_MEMORY = 11;
/** Too many traps were delivered without an instruction retiring; call run again. */
export const EXIT_LIVELOCK = 12;
/** [0] MSR index, [1] 1 for a write, [2] value low, [3] value high: an MSR of the hypervisor range (0x40000000). EIP is past the instruction. */
export const EXIT_MSR = 13;
/**
 * [0] PFERR_WRITE, PFERR_USER, PFERR_FETCH: the kind of access, [1] linear address: a TLB miss that the Host fills (mapPage) or that is the
 * guest's own fault (reflectPageFault). EIP is at the instruction; go on with resume.
 */
export const EXIT_SHADOW_FAULT = 14;
/** FERR# is asserted: an x87 exception is reported outside the processor. EIP is at the instruction that met it, which runs again. */
export const EXIT_FERR = 15;
export const EXIT_REASONS = 16;

/** EXIT_KILL reasons raised inside the core. The text belongs to the personality's table. */
export const KILL_BAD_PGD = 1;
export const KILL_BAD_PMD = 2;
export const KILL_BAD_PTE = 3;
/** [1] linear address. */
export const KILL_BAD_ADDRESS = 4;
/** [1] vector, [2] EIP, [3] CR2 or error code. */
export const KILL_UNHANDLED_TRAP = 5;
/** [1] guest-physical address, [2] length. */
export const KILL_BAD_READ = 6;
export const KILL_BAD_WRITE = 7;
/** [1] linear address. */
export const KILL_SWITCHER_PTE = 8;
/** [1] index, [2] entries. */
export const KILL_BAD_PGD_INDEX = 9;
/** [1] index. */
export const KILL_BAD_PMD_INDEX = 10;
/** [1] guest frame number. */
export const KILL_BAD_PAGE = 11;
/** SET_STACK: [1] selector. */
export const KILL_BAD_SEGMENT = 12;
/** SET_STACK: [1] page count. */
export const KILL_BAD_STACK_PAGES = 13;
/** SET_STACK: [1] linear address that is not mapped writable. */
export const KILL_BAD_STACK_PAGE = 14;
/** LOAD_IDT_ENTRY: [1] gate type; [1] vector. */
export const KILL_BAD_IDT_TYPE = 15;
export const KILL_BAD_IDT_VECTOR = 16;
/** LOAD_GDT_ENTRY: [1] index. */
export const KILL_BAD_GDT_INDEX = 17;
/** Xen: a trap for which no handler is registered. [1] vector, [2] EIP, [3] CR2 or error code. */
export const KILL_XEN_UNHANDLED_TRAP = 18;
/** Xen: [1] linear address of a frame that cannot be put on the kernel's stack. */
export const KILL_XEN_BAD_STACK = 19;
/** Xen: [1] selector, [2] EIP of a handler or callback that cannot be entered. */
export const KILL_XEN_BAD_HANDLER = 20;
/** Xen: [1] linear address of a frame for the iret hypercall that cannot be read, [2] its selector if it leads to ring 0. */
export const KILL_XEN_BAD_IRET = 21;
/** Xen: [1] machine frame that a page table leads to and that is no memory. */
export const KILL_XEN_BAD_TABLES = 22;

// ---------------------------------------------------------------------------------------------------------------
// Guest block (one pool frame)
// ---------------------------------------------------------------------------------------------------------------

/** Pointer to the frame-table root: u32[1024] pointers to leaves, each u32[1024] frame entries. */
export const GUEST_FRAME_ROOT = 0x00;
/** u32, frames of RAM: guest frame numbers 0..n-1. */
export const GUEST_RAM_FRAMES = 0x04;
/** u32, first frame number past all memory including RAM-like device pages. */
export const GUEST_LIMIT_FRAMES = 0x08;
/** u32, first and past-the-end frame of memory-mapped device space. */
export const GUEST_MMIO_START = 0x0c;
export const GUEST_MMIO_END = 0x10;
/** u32, pool frames this guest holds (shared ones included). */
export const GUEST_FRAMES_HELD = 0x14;
/** u32, vCPUs created. */
export const GUEST_VCPUS = 0x18;
/** u32, identifier unique within the shared memory, never 0. */
export const GUEST_ID = 0x1c;
/**
 * Xen: pointers to u32[1024] pointers to leaves of 512 records {u32 type word, u32 reference count}, by machine frame; the second is for
 * frames from 2 GiB on. 0 without them.
 */
export const GUEST_PAGE_INFO = 0x20;
/** u32, Xen: first of the L1 tables that map the machine-to-physical table, and first frame of that table. */
export const GUEST_M2P_TABLES_MFN = 0x28;
export const GUEST_M2P_MFN = 0x2c;
/** u32, Xen: bumped when a present page-table entry changes; a cached directory that slept meanwhile is dropped when it wakes. */
export const GUEST_TABLES_EPOCH = 0x30;
/** u32, Xen: bit n is 1 while VMASST_TYPE n is enabled. */
export const GUEST_XEN_ASSISTS = 0x34;
/** u32, Xen: 1 when a frame was given back that translations of the guest may still name; they are dropped before it runs again. */
export const GUEST_XEN_STALE = 0x38;

/** log2 of the frames that one leaf of the frame table holds. */
export const FRAME_LEAF_BITS = 10;
/** Frame entry: pointer to the pool frame (4 KiB aligned) plus these bits; 0 is a frame never touched, which reads as zero. */
export const FRAME_COW = 1;
export const FRAME_DIRTY = 2;
export const FRAME_PTR_MASK = 0xfffff000 | 0;

// ---------------------------------------------------------------------------------------------------------------
// Counters (u64 each, in the frame at VCPU_COUNTERS)
// ---------------------------------------------------------------------------------------------------------------

/** u64[256], traps reflected into the guest by vector, counted where they are delivered. */
export const COUNTER_TRAPS = 0x000;
/** u64[64], paravirtual calls completed inside the core, by number. */
export const COUNTER_CORE_CALLS = 0x800;
/** u64[32], exits to the Host by EXIT_*: the crossings. */
export const COUNTER_EXITS = 0xa00;
export const COUNTER_TLB_FILLS = 0xb00;
export const COUNTER_TLB_FLUSHES = 0xb08;
export const COUNTER_BLOCKS_DECODED = 0xb10;
export const COUNTER_CODE_INVALIDATIONS = 0xb18;
export const COUNTER_COW_BREAKS = 0xb20;
export const COUNTER_DIRECTORY_SWITCHES = 0xb28;
export const COUNTER_DIRECTORY_MISSES = 0xb30;
export const COUNTER_ARENA_RESETS = 0xb38;
/** NMIs for a paravirtual guest that has no handler for them. */
export const COUNTER_NMIS_DROPPED = 0xb40;
