/* The store's ring: requests and answers with their numbers, paths of the domain's own, errors as words, a watch that fires at once. */
#include "test.h"

void test_main(void) {
  setup();
  store_init();
  STORE_ASK(XS_READ, "domid");
  check_equal("the answer's type", store_answer.type, XS_READ);
  check(store_text[0] >= '1' && store_text[0] <= '9', "domid is %s", store_text);
  STORE_ASK(XS_READ, "data/nothing");
  check_equal("what is not there", store_answer.type, XS_ERROR);
  check(!strcmp(store_text, "ENOENT"), "the error is %s", store_text);
  store_ask(XS_WRITE, "data/test\0value", 15);
  check_equal("a write", store_answer.type, XS_WRITE);
  STORE_ASK(XS_READ, "data/test");
  check(!strcmp(store_text, "value"), "what was written is %s", store_text);
  store_ask(XS_WATCH, "data/test\0token", 16);
  check_equal("a watch", store_answer.type, XS_WATCH);
  STORE_ASK(XS_READ, "domid");
  check_equal("it fires at once", store_events, 1);
  check(!strcmp(store_event, "data/test") && !strcmp(store_event + 10, "token"), "it says %s %s", store_event, store_event + 10);
  STORE_ASK(XS_RM, "data/test");
  check_equal("the node goes", store_answer.type, XS_RM);
  STORE_ASK(XS_READ, "domid");
  check_equal("it fires for that", store_events, 2);
  STORE_ASK(XS_READ, "/local/domain/0/secret");
  check_equal("another domain's", store_answer.type, XS_ERROR);
  store_ask(99, "", 0);
  check_equal("a type that is none", store_answer.type, XS_ERROR);
}
