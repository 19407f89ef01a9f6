/*
 * Runs small pieces of i386 code on the processor underneath, as an ordinary 32-bit Linux process without a C library.
 * Input, repeated to the end: u32 EAX ECX EDX EBX ESP EBP ESI EDI, u32 EFLAGS, u32 with 1 for a processor state to load and
 * store, 8 unused bytes, 512 bytes of that state as FXRSTOR takes it, 64 bytes of code, 256 bytes of data.
 * Output for each: u32 vector, error code, CR2, the eight registers, EIP, EFLAGS, three words with a bit for each 256 bytes of
 * DATA (16 KiB) and STACK (8 KiB) that are not all zero, the 512 bytes of FXSAVE, then those blocks.
 * Every case runs until its first exception; the code lies at ENTRY among INT3s, the data at DATA + DATA_AT, the rest is zero.
 */
typedef unsigned char u8;
typedef unsigned int u32;

#define CODE 0x00100000u
#define CODE_BYTES 0x2000u
#define ENTRY 0x00100800u
#define DATA 0x00200000u
#define DATA_BYTES 0x4000u
#define DATA_AT 0x400u
#define READ_ONLY 0x00208000u
#define READ_ONLY_BYTES 0x1000u
#define STACK 0x00300000u
#define STACK_BYTES 0x2000u
#define BLOCK 256u
#define BLOCKS ((DATA_BYTES + STACK_BYTES) / BLOCK)

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
#define SYS_RT_SIGACTION 174
#define SYS_SIGALTSTACK 186
#define SYS_MMAP2 192
#define SA_FLAGS 0x4c000004u /* SIGINFO, ONSTACK, NODEFER, RESTORER */
#define FLAGS_MASK 0x0cd5u
#define FLAGS_FIXED 0x202u

struct input {
  u32 regs[8], eflags, has_fx, unused[2];
  u8 fx[512];
  u8 code[64], data[256];
};
struct output {
  u32 vector, error, cr2, regs[8], eip, eflags, blocks[3];
  u8 fx[512];
};
struct context {
  u32 flags, link, stack[3];
  u32 gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax;
  u32 trapno, error, eip, cs, eflags, sp_at_signal, ss, fpstate, oldmask, cr2;
};

/* start_case and end_case below know the offsets. */
__attribute__((aligned(16))) struct input in;
__attribute__((aligned(16))) struct output out;
u32 own_esp;
static int running;
static u8 signal_stack[16384];

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

void start_case(void);
void end_case(void);
__asm__(
    "start_case: pushal\n\t"
    "movl %esp, own_esp\n\t"
    "cmpl $0, in + 36\n\t"
    "je 1f\n\t"
    "fxrstor in + 48\n"
    "1:\tpushl in + 32\n\t"
    "popfl\n\t"
    "movl in, %eax\n\tmovl in + 4, %ecx\n\tmovl in + 8, %edx\n\tmovl in + 12, %ebx\n\t"
    "movl in + 16, %esp\n\tmovl in + 20, %ebp\n\tmovl in + 24, %esi\n\tmovl in + 28, %edi\n\t"
    "jmp 0x00100800\n"
    "end_case: fxsave out + 64\n\t"
    "fninit\n\t"
    "movl own_esp, %esp\n\t"
    "popal\n\t"
    "ret");

/* An emulator may give no vector but only the signal: INT3, a division, an opcode, or an address. */
static u32 vector_of(u32 trapno, int number, const int *info) {
  static const u32 vectors[12] = {[4] = 6, [5] = 3, [7] = 17, [11] = 13};
  if (trapno != -1u) return trapno;
  if (number == 8) return info[2] == 1 ? 0 : 16;
  if (number == 11 && (info[2] == 1 || info[2] == 2)) return 14;
  return vectors[number];
}

/* Returning to end_case first gives the case's floating-point state back to the processor, from where FXSAVE takes it. */
static void on_signal(int number, const int *info, struct context *c) {
  if (!running) call(SYS_EXIT, 2, 0, 0, 0, 0, 0);
  running = 0;
  out.vector = vector_of(c->trapno, number, info), out.error = c->error, out.cr2 = c->cr2;
  out.regs[0] = c->eax, out.regs[1] = c->ecx, out.regs[2] = c->edx, out.regs[3] = c->ebx;
  out.regs[4] = c->esp, out.regs[5] = c->ebp, out.regs[6] = c->esi, out.regs[7] = c->edi;
  out.eip = c->eip, out.eflags = c->eflags;
  c->eip = (u32)end_case;
  c->eflags = (c->eflags & ~FLAGS_MASK) | FLAGS_FIXED;
}

void on_return(void);
__asm__("on_return: movl $173, %eax\n\tint $0x80");

static void map(u32 address, u32 length, u32 rights) {
  int at = call(SYS_MMAP2, address, length, rights, 0x32, -1u, 0);
  if ((u32)at != address) call(SYS_EXIT, 3, 0, 0, 0, 0, 0);
}

static u32 *block(u32 i) {
  u32 at = i * BLOCK;
  return (u32 *)(at < DATA_BYTES ? DATA + at : STACK + (at - DATA_BYTES));
}

static void answer(void) {
  out.blocks[0] = out.blocks[1] = out.blocks[2] = 0;
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
  static const int numbers[] = {4, 5, 7, 8, 11};
  call(SYS_MUNMAP, BELOW_IMAGE, IMAGE - BELOW_IMAGE, 0, 0, 0, 0);
  call(SYS_MUNMAP, ABOVE_IMAGE, END - ABOVE_IMAGE, 0, 0, 0, 0);
  map(CODE, CODE_BYTES, 7);
  map(DATA, DATA_BYTES, 3);
  map(READ_ONLY, READ_ONLY_BYTES, 1);
  map(STACK, STACK_BYTES, 3);
  /* A page that was never read is not present, and a store to it would say so. */
  (void)*(volatile u8 *)READ_ONLY;
  stack[0] = (u32)signal_stack, stack[2] = sizeof signal_stack;
  call(SYS_SIGALTSTACK, (u32)stack, 0, 0, 0, 0, 0);
  action[0] = (u32)on_signal, action[1] = SA_FLAGS, action[2] = (u32)on_return;
  for (u32 i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    call(SYS_RT_SIGACTION, numbers[i], (u32)action, 0, 8, 0, 0);
  }
  while (transfer(SYS_READ, 0, &in, sizeof in) == sizeof in) {
    memset((void *)CODE, 0xcc, CODE_BYTES);
    memset((void *)DATA, 0, DATA_BYTES);
    memset((void *)STACK, 0, STACK_BYTES);
    memcpy((void *)ENTRY, in.code, sizeof in.code);
    memcpy((void *)(DATA + DATA_AT), in.data, sizeof in.data);
    running = 1;
    start_case();
    answer();
  }
  call(SYS_EXIT, 0, 0, 0, 0, 0, 0);
}
