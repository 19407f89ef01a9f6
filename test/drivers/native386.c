/*
 * Runs small pieces of i386 code on the processor underneath, as an ordinary 32-bit Linux process without a C library.
 * Input, repeated to the end: u32 EAX ECX EDX EBX ESP EBP ESI EDI, u32 EFLAGS, 64 bytes of code, 256 bytes of data.
 * Output for each: u32 vector, error code, CR2, the eight registers, EIP, EFLAGS, then DATA (16 KiB) and STACK (8 KiB).
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

/* The linker puts the image at an address that code under test is unlikely to come up with; see native.ts. */
#define ABOVE_IMAGE 0x5a800000u
#define END 0xffffe000u

#define SYS_EXIT 1
#define SYS_READ 3
#define SYS_WRITE 4
#define SYS_GETPID 20
#define SYS_KILL 37
#define SYS_MUNMAP 91
#define SYS_RT_SIGACTION 174
#define SYS_RT_SIGRETURN 173
#define SYS_SIGALTSTACK 186
#define SYS_MMAP2 192
#define SA_FLAGS 0x4c000004u /* SIGINFO, ONSTACK, NODEFER, RESTORER */
#define SIGUSR1 10
#define FLAGS_MASK 0x0cd5u

struct input {
  u32 regs[8], eflags;
  u8 code[64], data[256];
};
struct output {
  u32 vector, error, cr2, regs[8], eip, eflags;
};
struct context {
  u32 flags, link, stack[3];
  u32 gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax;
  u32 trapno, error, eip, cs, eflags, sp_at_signal, ss, fpstate, oldmask, cr2;
};

static struct input in;
static struct output out;
static struct context home;
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
  u8 *d = to;
  while (n--) *d++ = (u8)value;
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

/* SIGUSR1 starts a case by returning into it; the exception that ends it returns to where SIGUSR1 came from. */
static void on_signal(int number, void *info, struct context *c) {
  (void)info;
  if (number == SIGUSR1) {
    home = *c;
    running = 1;
    c->eax = in.regs[0], c->ecx = in.regs[1], c->edx = in.regs[2], c->ebx = in.regs[3];
    c->esp = in.regs[4], c->ebp = in.regs[5], c->esi = in.regs[6], c->edi = in.regs[7];
    c->eip = ENTRY;
    c->eflags = (c->eflags & ~FLAGS_MASK) | (in.eflags & FLAGS_MASK);
    return;
  }
  if (!running) call(SYS_EXIT, 2, 0, 0, 0, 0, 0);
  running = 0;
  out.vector = c->trapno, out.error = c->error, out.cr2 = c->cr2;
  out.regs[0] = c->eax, out.regs[1] = c->ecx, out.regs[2] = c->edx, out.regs[3] = c->ebx;
  out.regs[4] = c->esp, out.regs[5] = c->ebp, out.regs[6] = c->esi, out.regs[7] = c->edi;
  out.eip = c->eip, out.eflags = c->eflags;
  u32 fpstate = c->fpstate;
  u32 mask = c->oldmask;
  struct context back = home;
  back.fpstate = fpstate, back.oldmask = mask;
  *c = back;
}

void on_return(void);
__asm__("on_return: movl $173, %eax\n\tint $0x80");

static void map(u32 address, u32 length, u32 rights) {
  int at = call(SYS_MMAP2, address, length, rights, 0x32, -1u, 0);
  if ((u32)at != address) call(SYS_EXIT, 3, 0, 0, 0, 0, 0);
}

/* The stack and the vDSO lie at random addresses, which code under test may hit: the program lives in its own image alone. */
u8 own_stack[16384];
__asm__(".globl _start\n_start: movl $own_stack + 16384, %esp\n\tcall serve");

void serve(void) {
  static u32 stack[3];
  static u32 action[5];
  static const int numbers[] = {4, 5, 7, 8, 10, 11};
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
    call(SYS_KILL, call(SYS_GETPID, 0, 0, 0, 0, 0, 0), SIGUSR1, 0, 0, 0, 0);
    transfer(SYS_WRITE, 1, &out, sizeof out);
    transfer(SYS_WRITE, 1, (void *)DATA, DATA_BYTES);
    transfer(SYS_WRITE, 1, (void *)STACK, STACK_BYTES);
  }
  call(SYS_EXIT, 0, 0, 0, 0, 0, 0);
}
