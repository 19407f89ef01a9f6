/*
 * Runs small pieces of i386 code on the processor underneath, as an ordinary 32-bit Linux process without a C library.
 * Input, repeated to the end: struct input. Output for each: struct output, then every BLOCK bytes of DATA (16 KiB), STACK
 * (8 KiB) and EDGE (12 KiB) that are not all zero, as the bits of `blocks` say.
 * Every case runs until its first exception; with EFLAGS.TF the traps of single steps are counted and the case goes on.
 * Its code lies among INT3s, its data at DATA + DATA_AT, the rest is zero. The LDT is the one of cpu-core.ts.
 */
typedef unsigned char u8;
typedef unsigned int u32;

#define CODE 0x00100000u
#define CODE_BYTES 0x2000u
#define DATA 0x00200000u
#define DATA_BYTES 0x4000u
#define DATA_AT 0x400u
#define READ_ONLY 0x00208000u
#define PAGE 0x1000u
/* A writable page, a read-only one, a writable one. */
#define EDGE 0x0020a000u
#define EDGE_BYTES 0x3000u
#define STACK 0x00300000u
#define STACK_BYTES 0x2000u
#define BLOCK 256u
#define BLOCKS ((DATA_BYTES + STACK_BYTES + EDGE_BYTES) / BLOCK)

/* The linker puts the image at an address that code under test is unlikely to come up with; see native.ts. */
/* Below this an emulator may keep descriptor tables. */
#define BELOW_IMAGE 0x40000000u
#define IMAGE 0x5a6b7000u
#define ABOVE_IMAGE 0x5a800000u
#define END 0xffffe000u

#define SYS_EXIT 1
#define SYS_READ 3
#define SYS_WRITE 4
#define SYS_MUNMAP 91
#define SYS_SETITIMER 104
#define SYS_MODIFY_LDT 123
#define SYS_RT_SIGACTION 174
#define SYS_SIGALTSTACK 186
#define SYS_MMAP2 192
#define SA_FLAGS 0x1c000004u /* SIGINFO, ONSTACK, RESTART, RESTORER */
#define SIGTRAP 5
#define SIGVTALRM 26
#define EFLAGS_TF 0x100u
#define VECTOR_DB 1u
#define VECTOR_BP 3u
/* A case that does not end: after this many single steps, or between two ticks of the clock. */
#define VECTOR_HANGS 255u
#define MOST_STEPS 100000u
#define TICK_US 700000

struct input {
  u32 regs[8], eflags, eip, segs[6]; /* ES CS SS DS FS GS */
  u32 code_at, code_bytes, has_fx, unused;
  u8 fx[512];
  u8 code[1024], data[256];
};
struct output {
  u32 vector, error, cr2, regs[8], eip, eflags, segs[6];
  u32 steps, trace; /* single steps, and a digest of EIP and registers after each */
  u32 blocks[5], unused[6];
  u8 fx[512];
};
struct context {
  u32 flags, link, stack[3];
  u32 gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax;
  u32 trapno, error, eip, cs, eflags, sp_at_signal, ss, fpstate, oldmask, cr2;
};
struct descriptor {
  u32 index, base, limit, flags; /* as struct user_desc has them */
};

/* The bits of user_desc: 32-bit, expand-down, code, no reading or writing, limit in pages, not present. */
#define BIG 1
#define DOWN 2
#define CODE_SEGMENT 4
#define CONFORMING 6
#define FIXED 8
#define PAGES 16
#define ABSENT 32
static const struct descriptor ldt[] = {
    {1, DATA, 0x3fff, BIG},
    {2, DATA, 0x0fff, BIG},
    {3, DATA, 0x0fff, BIG | FIXED},
    {4, DATA, 0x0fff, BIG | DOWN},
    {5, DATA, 0x0fff, DOWN},
    {6, DATA, 0x0fff, BIG | ABSENT},
    {7, CODE, 0x1fff, BIG | CODE_SEGMENT},
    {8, CODE, 0x1fff, BIG | CODE_SEGMENT | FIXED},
    {9, CODE, 0x1fff, CODE_SEGMENT},
    {10, CODE, 0x1fff, BIG | CONFORMING | ABSENT},
    {11, CODE, 0x1fff, BIG | CODE_SEGMENT | ABSENT},
    {12, STACK, 0x1fff, 0},
    {13, STACK, 0x1fff, BIG},
    {14, STACK, 0x0fff, DOWN},
    {15, DATA + PAGE, 0, BIG | PAGES},
    {16, 0, 0xfffff, BIG | PAGES},
    {17, CODE, 0x0fff, BIG | CODE_SEGMENT},
    {18, DATA, 0x0ff6, BIG},
    {19, STACK, 0x1fff, BIG | ABSENT},
};

/* start_case and end_case below know the offsets. */
__attribute__((aligned(16))) struct input in;
__attribute__((aligned(16))) struct output out;
u32 own_esp;
static struct context home;
static int running, uncounted, is_emulator;
static u32 number_of_case, case_at_tick;
static u8 signal_stack[16384];
/* What FNSAVE makes: an emulator does not give it back after a signal. */
static u8 frame_fpu[108];

static int call(u32 n, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f) {
  int result;
  static u32 sixth;
  sixth = f;
  __asm__ volatile(
      "pushl %%ebp\n\tmovl %7, %%ebp\n\tint $0x80\n\tpopl %%ebp"
      : "=a"(result)
      : "a"(n), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), "m"(sixth)
      : "memory");
  return result;
}

/* The compiler may call these for struct copies. */
void *memcpy(void *to, const void *from, u32 n) {
  u8 *d = to;
  const u8 *s = from;
  while (n--) *d++ = *s++;
  return to;
}
void *memset(void *to, int value, u32 n) {
  u32 word = (u8)value * 0x01010101u;
  for (u32 i = 0; i < n / 4; i++) ((u32 *)to)[i] = word;
  return to;
}

static u32 transfer(u32 number, int fd, void *bytes, u32 length) {
  u32 done = 0;
  while (done < length) {
    int n = call(number, fd, (u32)bytes + done, length - done, 0, 0, 0);
    if (n <= 0) break;
    done += n;
  }
  return done;
}

/* The floating-point state is loaded right before the case; afterwards the signal's return brings it back. */
void start_case(void);
void load_state(void);
void end_case(void);
__asm__(
    "start_case: pushal\n\t"
    "movl %esp, own_esp\n\t"
    "int3\n"
    "load_state: fxrstor in + 80\n\t"
    "jmp *in + 36\n"
    "end_case: fxsave out + 128\n\t"
    "fninit\n\t"
    "movl own_esp, %esp\n\t"
    "popal\n\t"
    "ret");

/* An emulator may give no vector but only the signal: INT3 or a step, a division, an opcode, or an address. */
static u32 vector_of(u32 trapno, int number, const int *info) {
  static const u32 vectors[12] = {[4] = 6, [5] = 3, [7] = 17, [11] = 13};
  if (trapno != -1u) return trapno;
  if (number == 8) return info[2] == 1 ? 0 : 16;
  if (number == 11 && (info[2] == 1 || info[2] == 2)) return 14;
  if (number == SIGTRAP && info[2] == 1) return VECTOR_DB;
  return vectors[number];
}

static void begin(struct context *c) {
  home = *c;
  is_emulator = c->trapno == -1u;
  c->eax = in.regs[0], c->ecx = in.regs[1], c->edx = in.regs[2], c->ebx = in.regs[3];
  c->esp = in.regs[4], c->ebp = in.regs[5], c->esi = in.regs[6], c->edi = in.regs[7];
  c->sp_at_signal = in.regs[4];
  c->eip = in.has_fx ? (u32)load_state : in.eip, c->eflags = in.eflags;
  c->es = in.segs[0], c->cs = in.segs[1], c->ss = in.segs[2];
  c->ds = in.segs[3], c->fs = in.segs[4], c->gs = in.segs[5];
  out.steps = 0, out.trace = 0;
  uncounted = in.has_fx ? 2 : 0;
  running = 1;
}

static void note_step(const struct context *c) {
  const u32 words[9] = {c->eip, c->eax, c->ecx, c->edx, c->ebx, c->esp, c->ebp, c->esi, c->edi};
  for (u32 i = 0; i < 9; i++) out.trace = (out.trace ^ words[i]) * 0x01000193u;
  out.steps++;
}

void on_signal(int number, const int *info, struct context *c) {
  u32 vector = number == SIGVTALRM ? VECTOR_HANGS : vector_of(c->trapno, number, info);
  if (number == SIGVTALRM) {
    u32 last = case_at_tick;
    case_at_tick = number_of_case;
    /* An emulator loses the x87 state here: such a case counts as one without an end. */
    if (!running || (last != number_of_case && !in.has_fx)) return;
  }
  if (!running) {
    if (vector != VECTOR_BP) call(SYS_EXIT, 2, 0, 0, 0, 0, 0);
    begin(c);
    return;
  }
  if (vector == VECTOR_DB && out.steps < MOST_STEPS) {
    if (uncounted > 0) uncounted--;
    else note_step(c);
    return;
  }
  running = 0;
  out.vector = vector == VECTOR_DB ? VECTOR_HANGS : vector;
  out.error = c->error, out.cr2 = c->cr2;
  out.regs[0] = c->eax, out.regs[1] = c->ecx, out.regs[2] = c->edx, out.regs[3] = c->ebx;
  out.regs[4] = c->esp, out.regs[5] = c->ebp, out.regs[6] = c->esi, out.regs[7] = c->edi;
  out.eip = c->eip, out.eflags = c->eflags;
  out.segs[0] = c->es, out.segs[1] = c->cs, out.segs[2] = c->ss;
  out.segs[3] = c->ds, out.segs[4] = c->fs, out.segs[5] = c->gs;
  u32 fpstate = c->fpstate;
  if (is_emulator) memcpy(frame_fpu, (void *)fpstate, sizeof frame_fpu);
  *c = home;
  c->fpstate = fpstate;
  c->eip = (u32)end_case;
}

/* A case's DF, AC and, in an emulator, TF may still be set. */
void on_entry(void);
void on_return(void);
__asm__(
    "on_entry: pushl $2\n\tpopfl\n\tjmp on_signal\n"
    "on_return: movl $173, %eax\n\tint $0x80");

static void map(u32 address, u32 length, u32 rights) {
  int at = call(SYS_MMAP2, address, length, rights, 0x32, -1u, 0);
  if ((u32)at != address) call(SYS_EXIT, 3, 0, 0, 0, 0, 0);
  /* A page that was never read is not present, and a store to a read-only one would say so. */
  (void)*(volatile u8 *)address;
}

/* The x87 registers in FXSAVE's form from FNSAVE's: a bit for each tag, and 16 bytes for 10. */
static void take_frame_fpu(void) {
  u32 tags = frame_fpu[8] | frame_fpu[9] << 8;
  memcpy(out.fx, frame_fpu, 2);
  memcpy(out.fx + 2, frame_fpu + 4, 2);
  out.fx[4] = 0;
  for (u32 i = 0; i < 8; i++) {
    if ((tags >> (2 * i) & 3) != 3) out.fx[4] |= 1 << i;
    memcpy(out.fx + 32 + 16 * i, frame_fpu + 28 + 10 * i, 10);
  }
}

static u32 *block(u32 i) {
  u32 at = i * BLOCK;
  if (at < DATA_BYTES) return (u32 *)(DATA + at);
  at -= DATA_BYTES;
  return (u32 *)(at < STACK_BYTES ? STACK + at : EDGE + (at - STACK_BYTES));
}

static void answer(void) {
  memset(out.blocks, 0, sizeof out.blocks);
  for (u32 i = 0; i < BLOCKS; i++) {
    u32 any = 0;
    for (u32 w = 0; w < BLOCK / 4; w++) any |= block(i)[w];
    if (any) out.blocks[i >> 5] |= 1u << (i & 31);
  }
  transfer(SYS_WRITE, 1, &out, sizeof out);
  for (u32 i = 0; i < BLOCKS; i++) {
    if (out.blocks[i >> 5] & (1u << (i & 31))) transfer(SYS_WRITE, 1, block(i), BLOCK);
  }
}

/* The stack and the vDSO lie at random addresses, which code under test may hit: the program lives in its own image alone. */
u8 own_stack[16384];
__asm__(".globl _start\n_start: movl $own_stack + 16384, %esp\n\tcall serve");

void serve(void) {
  static u32 stack[3];
  static u32 action[5];
  static const int tick[4] = {0, TICK_US, 0, TICK_US};
  static const int numbers[] = {4, SIGTRAP, 7, 8, 11, SIGVTALRM};
  call(SYS_MUNMAP, BELOW_IMAGE, IMAGE - BELOW_IMAGE, 0, 0, 0, 0);
  call(SYS_MUNMAP, ABOVE_IMAGE, END - ABOVE_IMAGE, 0, 0, 0, 0);
  map(CODE, CODE_BYTES, 7);
  map(DATA, DATA_BYTES, 3);
  map(READ_ONLY, PAGE, 1);
  map(EDGE, PAGE, 3);
  map(EDGE + PAGE, PAGE, 1);
  map(EDGE + 2 * PAGE, PAGE, 3);
  map(STACK, STACK_BYTES, 3);
  for (u32 i = 0; i < sizeof ldt / sizeof *ldt; i++) {
    if (call(SYS_MODIFY_LDT, 0x11, (u32)&ldt[i], sizeof *ldt, 0, 0, 0)) call(SYS_EXIT, 4, 0, 0, 0, 0, 0);
  }
  stack[0] = (u32)signal_stack, stack[2] = sizeof signal_stack;
  call(SYS_SIGALTSTACK, (u32)stack, 0, 0, 0, 0, 0);
  action[0] = (u32)on_entry, action[1] = SA_FLAGS, action[2] = (u32)on_return;
  action[3] = action[4] = -1u;
  for (u32 i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    call(SYS_RT_SIGACTION, numbers[i], (u32)action, 0, 8, 0, 0);
  }
  call(SYS_SETITIMER, 1, (u32)tick, 0, 0, 0, 0);
  while (transfer(SYS_READ, 0, &in, sizeof in) == sizeof in) {
    memset((void *)CODE, 0xcc, CODE_BYTES);
    memset((void *)DATA, 0, DATA_BYTES);
    memset((void *)EDGE, 0, PAGE);
    memset((void *)(EDGE + 2 * PAGE), 0, PAGE);
    memset((void *)STACK, 0, STACK_BYTES);
    memcpy((void *)in.code_at, in.code, in.code_bytes);
    memcpy((void *)(DATA + DATA_AT), in.data, sizeof in.data);
    number_of_case++;
    start_case();
    if (is_emulator) take_frame_fpu();
    answer();
  }
  call(SYS_EXIT, 0, 0, 0, 0, 0, 0);
}
