/* Pages 16 MiB apart share an entry in every cache of translations we know of; instructions that need several of them at once get on. */
#include "test.h"

#define FAR 0x1000000u
#define WINDOW 0x40000000u
#define PLACES 4

static u32 USER_CODE push_memory(u32 at) {
  u32 left;
  __asm__ volatile("movl %%esp, %%edi; leal 0x1000000(%1), %%esp; pushl (%1); popl %0; movl %%edi, %%esp"
                   : "=&a"(left) : "c"(at) : "edi", "memory");
  return left;
}

/* The operand's page has the entry of the page that this function runs on. */
static u32 USER_CODE load_beside_code(u32 at) {
  u32 sum = 0;
  for (u32 i = 0; i < 8; i++)
    sum += *(volatile u32 *)(at + 4 * i);
  return sum;
}

void test_main(void) {
  setup();
  /* Two pages at each of four places that conflict pairwise. */
  for (u32 place = 0; place < PLACES; place++)
    for (u32 page = 0; page < 3; page++)
      map(first_directory, WINDOW + place * FAR + page * PAGE_SIZE, alloc_page(), USER_FLAGS);
  u32 edge = WINDOW + PAGE_SIZE - 2;

  poke(edge, 0xcafe1234);
  u32 from = edge, to = edge + FAR;
  __asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
  check_equal("movs over two edges", peek(edge + FAR), 0xcafe1234);

  for (u32 at = 0; at < 2 * PAGE_SIZE; at += 4)
    poke(WINDOW + at, at * 2654435761u);
  from = WINDOW + 1, to = WINDOW + FAR + 3;
  u32 count = 2 * PAGE_SIZE;
  __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  from = WINDOW + 1, to = WINDOW + FAR + 3, count = 2 * PAGE_SIZE;
  u8 equal;
  __asm__ volatile("repe cmpsb; sete %0" : "=q"(equal), "+S"(from), "+D"(to), "+c"(count) : : "memory");
  check(equal && count == 0, "rep movs copied wrong, %u left", count);

  from = WINDOW + PAGE_SIZE - 2, to = WINDOW + 2 * FAR + PAGE_SIZE - 2, count = 700;
  __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  from = WINDOW + PAGE_SIZE - 2, to = WINDOW + 2 * FAR + PAGE_SIZE - 2, count = 700;
  __asm__ volatile("repe cmpsl; sete %0" : "=q"(equal), "+S"(from), "+D"(to), "+c"(count) : : "memory");
  check(equal && count == 0, "unaligned rep movs copied wrong, %u left", count);

  poke(WINDOW + 0x100, 0xbeef);
  check_equal("push of memory", user_call(push_memory, WINDOW + 0x100), 0xbeef);
  check_equal("push of memory over edges", user_call(push_memory, edge), peek(edge));

  u32 beside = ((u32)load_beside_code & PAGE_MASK) + FAR;
  map(first_directory, beside, alloc_page(), USER_FLAGS);
  for (u32 i = 0; i < 8; i++)
    poke(beside + 4 * i, i);
  check_equal("loads beside the code", user_call(load_beside_code, beside), 28);
}
