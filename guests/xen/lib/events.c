/* The shared page and events. */
#include "test.h"

struct shared_info *shared;
struct vcpu_info *vcpu;
volatile u32 upcalls;
volatile u32 event_counts[EVTCHN_2L_PORTS];
void (*upcall_hook)(struct frame *frame);

static u8 shared_page[PAGE_SIZE] __attribute__((aligned(4096)));

void shared_info_init(void) {
  if (update_va_mapping((u32)shared_page, (pte_t)start_info->shared_info | KERNEL_FLAGS, UVMF_INVLPG))
    error("struct shared_info cannot be mapped");
  shared = (struct shared_info *)shared_page;
  vcpu = shared->vcpu_info;
  for (u32 i = 0; i < COUNT_OF(shared->evtchn_mask); i++)
    shared->evtchn_mask[i] = ~0u;
}

void scan_events(void) { scan_events_of(vcpu); }

void scan_events_of(struct vcpu_info *info) {
  info->upcall_pending = 0;
  u32 selector = 0;
  __asm__ volatile("xchgl %0, %1" : "+r"(selector), "+m"(info->pending_sel) : : "memory");
  for (u32 word = 0; word < 32; word++) {
    if (!(selector >> word & 1))
      continue;
    u32 ready = shared->evtchn_pending[word] & ~shared->evtchn_mask[word];
    shared->evtchn_pending[word] &= ~ready;
    for (u32 bit = 0; bit < 32; bit++)
      event_counts[word * 32 + bit] += ready >> bit & 1;
  }
}

void events_on(void) {
  vcpu->upcall_mask = 0;
  barrier();
  /* What came while the mask was set is taken at the next entry to the guest: any call is one. */
  if (vcpu->upcall_pending)
    xen_version(XENVER_VERSION, NULL);
}

u32 bind_virq(u32 virq) {
  struct bind_virq op = {virq, 0, 0};
  s32 answer = event_channel_op(EVTCHNOP_BIND_VIRQ, &op);
  if (answer)
    error("binding virq %u is refused with %d", virq, answer);
  return op.port;
}

u32 bind_ipi(void) { return bind_ipi_of(0); }

u32 bind_ipi_of(u32 id) {
  struct bind_ipi op = {id, 0};
  s32 answer = event_channel_op(EVTCHNOP_BIND_IPI, &op);
  if (answer)
    error("binding an IPI is refused with %d", answer);
  return op.port;
}

u32 status_of(u32 port) {
  struct channel_status op = {DOMID_SELF, 0, port, 99, 0, 0, 0, 0};
  s32 answer = event_channel_op(EVTCHNOP_STATUS, &op);
  return answer ? (u32)answer : op.status;
}

u64 system_time(void) {
  for (;;) {
    u32 version = vcpu->time_version;
    barrier();
    u64 ticks = rdtsc() - vcpu->tsc_timestamp;
    u64 base = vcpu->system_time;
    s32 shift = vcpu->tsc_shift;
    u32 mul = vcpu->tsc_to_system_mul;
    barrier();
    if ((version & 1) || version != vcpu->time_version)
      continue;
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return base + ((u64)(u32)ticks * mul >> 32) + (ticks >> 32) * mul;
  }
}

void wait_for_port(u32 port) {
  struct {
    u32 *ports;
    u32 count;
    u64 timeout;
  } op = {&port, 1, 0};
  sched_op(SCHEDOP_POLL, &op);
}
