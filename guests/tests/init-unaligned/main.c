/* struct lguest_data may lie at any address: a word of it that straddles two pages is written to those two pages and nowhere else. */
#include "test.h"

#define BASE 0x00c00000u
/* cr2, 8 bytes into the structure, has its first two bytes on one page and the others on the next. */
#define DATA (BASE + 0x1000 - 8 - 2)
#define BYSTANDERS 8

extern int can_print;

void test_main(void) {
  volatile u8 *memory = (volatile u8 *)BASE;
  /* Touched one after the other, so that in the Host's memory a bystander follows the first page and not the second one. */
  memory[0] = 1;
  for (u32 i = 2; i < BYSTANDERS; i++) memory[i * PAGE_SIZE] = 0x5a;
  memory[PAGE_SIZE + 0x800] = 1;
  const u8 *words = (const u8 *)&lguest_data;
  for (u32 i = 0; i < sizeof lguest_data; i++) ((volatile u8 *)DATA)[i] = words[i];
  hcall1(LHCALL_LGUEST_INIT, DATA);
  can_print = 1;
  paging_init();
  traps_init();
  TRY("movl (%0), %%eax", : : "r"(0xabcd1234) : "eax");
  check_equal("cr2", *(volatile u32 *)(DATA + 8), 0xabcd1234);
  for (u32 i = 2; i < BYSTANDERS; i++) {
    check_equal("a bystander's first byte", memory[i * PAGE_SIZE], 0x5a);
    check_equal("a bystander's second byte", memory[i * PAGE_SIZE + 1], 0);
  }
}
