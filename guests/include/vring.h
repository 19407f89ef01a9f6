/* A virtio ring in its original layout: descriptors, the driver's ring, and on the next page the device's. */
#ifndef VRING_H
#define VRING_H

#include "types.h"

struct vring_desc {
  u64 address;
  u32 length;
  u16 flags, next;
};

struct vring_avail {
  u16 flags, index;
  u16 ring[];
};

struct vring_used_entry {
  u32 id, length;
};

struct vring_used {
  u16 flags, index;
  struct vring_used_entry ring[];
};

struct vring {
  u32 entries;
  volatile struct vring_desc *desc;
  volatile struct vring_avail *avail;
  volatile struct vring_used *used;
  u16 seen; /* how much of the used ring the driver has taken */
};

static inline u32 vring_bytes(u32 entries) {
  return ROUND_UP(16 * entries + 6 + 2 * entries, PAGE_SIZE) + ROUND_UP(6 + 8 * entries, PAGE_SIZE);
}

static inline void vring_attach(struct vring *ring, void *memory, u32 entries) {
  u8 *base = memory;
  ring->entries = entries;
  ring->desc = (void *)base;
  ring->avail = (void *)(base + 16 * entries);
  ring->used = (void *)(base + ROUND_UP(16 * entries + 6 + 2 * entries, PAGE_SIZE));
  ring->seen = 0;
}

#endif
