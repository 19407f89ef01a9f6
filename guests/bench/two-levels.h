/* Page tables of two levels that the guest writes as memory, in its own frame numbers: what lguest and a plain machine share. */
#ifndef TWO_LEVELS_H
#define TWO_LEVELS_H

typedef u32 pte_t;

static inline u32 machine_of(u32 lin) { return lin; }
static inline void finish_queue(void) {}
static inline void take_table(u32 directory, u32 lin, pte_t *table, u32 entries) {
  (void)directory, (void)lin, (void)table, (void)entries;
}
static inline void give_table(u32 directory, u32 lin, pte_t *table, u32 entries) {
  (void)directory, (void)lin, (void)table, (void)entries;
}

#endif
