/* Events in queues by priority: the control block, the array of event words, and a word's bits from pending to taken. */
#include "test.h"

#define PENDING (1u << 31)
#define MASKED (1u << 30)
#define LINKED (1u << 29)

struct init_control {
  u64 gfn;
  u32 offset, vcpu;
  u8 link_bits, unused[7];
};

static volatile u32 *control, *words;

void test_main(void) {
  setup();
  u64 array = 0;
  check_answer("an array before there is a control block", event_channel_op(EVTCHNOP_EXPAND_ARRAY, &array), -XEN_EOPNOTSUPP);
  control = alloc_page();
  words = alloc_page();
  struct init_control op = {NO_MFN, 0, 0, 0, {0}};
  check_answer("a frame that is none", event_channel_op(EVTCHNOP_INIT_CONTROL, &op), -XEN_EINVAL);
  op.gfn = mfn_of(control);
  op.offset = PAGE_SIZE - 8;
  check_answer("past the end of the page", event_channel_op(EVTCHNOP_INIT_CONTROL, &op), -XEN_EINVAL);
  op.offset = 0;
  op.vcpu = 1;
  check_answer("a vCPU that is none", event_channel_op(EVTCHNOP_INIT_CONTROL, &op), -XEN_ENOENT);
  op.vcpu = 0;
  check_answer("a control block", event_channel_op(EVTCHNOP_INIT_CONTROL, &op), 0);
  check_equal("its link bits", op.link_bits, 17);
  for (u32 i = 0; i < 1024; i++)
    words[i] = MASKED;
  array = mfn_of(words);
  check_answer("an array", event_channel_op(EVTCHNOP_EXPAND_ARRAY, &array), 0);
  u32 one = bind_ipi(), two = bind_ipi();
  check(words[one] & MASKED, "a fresh port's word is %x", words[one]);
  event_channel_op(EVTCHNOP_SEND, &one);
  check_equal("a masked port's word", words[one], PENDING | MASKED);
  check_equal("queues that are ready", control[0], 0);
  check_answer("unmask", event_channel_op(EVTCHNOP_UNMASK, &one), 0);
  check_equal("its word", words[one] & (PENDING | MASKED | LINKED), PENDING | LINKED);
  check_equal("queues that are ready", control[0], 1u << 7);
  check_equal("the head of that", control[2 + 7], one);
  check_equal("upcall_pending", vcpu->upcall_pending, 1);
  u32 priority[2] = {two, 3};
  check_answer("a priority", event_channel_op(EVTCHNOP_SET_PRIORITY, priority), 0);
  event_channel_op(EVTCHNOP_UNMASK, &two);
  event_channel_op(EVTCHNOP_SEND, &two);
  check_equal("queues that are ready", control[0], 1u << 7 | 1u << 3);
  check_equal("the head of the other", control[2 + 3], two);
  priority[1] = 16;
  check_answer("a priority that is none", event_channel_op(EVTCHNOP_SET_PRIORITY, priority), -XEN_EINVAL);
  check_answer("close", event_channel_op(EVTCHNOP_CLOSE, &one), 0);
}
