/* Guest 060: memory. Frames with reference counts, one page directory per process, pages filled on first touch,
 * fork by sharing everything and copying on the first write.
 *
 * The page tables are ordinary x86 tables holding guest-physical addresses. They are written with plain stores, and the
 * Host is told afterwards: SET_PTE for one page, SET_PGD for a directory slot, FLUSH_TLB for many.
 */
#include "kernel.h"

#define KERNEL_SLOT (PAGE_OFFSET >> 22)
#define KERNEL_PTE (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G)
#define DIRECTORY_PDE (PTE_P | PTE_RW | PTE_A | PTE_D)
#define USER_PDE (DIRECTORY_PDE | PTE_US)
#define DEVICE_FRAMES 256u
#define LOWMEM_MAX 0x38000000u

extern u8 kernel_end[];

u32 memory_frames, free_frames;
static u16 *references;
static u32 *next_free; /* frame -> next frame of the free list */
static u32 first_free;

/* Maps all RAM and the device pages above it at PAGE_OFFSET, then forgets the identity half we booted on. */
static u8 *map_memory(u32 ram_bytes, u8 *spare) {
  u32 frames = ram_bytes / PAGE_SIZE + DEVICE_FRAMES;
  for (u32 slot = 1; slot < ROUND_UP(frames, 1024) / 1024; slot++) {
    u32 *table = (u32 *)spare;
    spare += PAGE_SIZE;
    for (u32 i = 0; i < 1024; i++)
      table[i] = (slot * 1024 + i < frames) ? (slot * 1024 + i) * PAGE_SIZE | KERNEL_PTE : 0;
    kernel_directory[KERNEL_SLOT + slot] = to_phys(table) | DIRECTORY_PDE;
  }
  kernel_directory[0] = 0;
  hcall2(LHCALL_SET_PGD, to_phys(kernel_directory), 0);
  hcall1(LHCALL_FLUSH_TLB, 1);
  return spare;
}

void mm_init(u32 ram_bytes) {
  if (ram_bytes > LOWMEM_MAX)
    panic("this kernel maps at most %u MiB of RAM", LOWMEM_MAX >> 20);
  u8 *spare = map_memory(ram_bytes, kernel_end);
  memory_frames = ram_bytes / PAGE_SIZE;
  references = (u16 *)spare;
  next_free = (u32 *)ROUND_UP((u32)(references + memory_frames), 4);
  u32 first = ROUND_UP(to_phys(next_free + memory_frames), PAGE_SIZE) / PAGE_SIZE;
  /* What the kernel occupies keeps a reference of its own, so sharing its pages with processes never frees them. */
  for (u32 frame = 0; frame < first; frame++)
    references[frame] = 1;
  for (u32 frame = memory_frames; frame-- > first;) {
    references[frame] = 1;
    frame_free(frame * PAGE_SIZE);
  }
  printk("mm: %u MiB of RAM mapped at %p, %u frames free, top %u KiB left to the Host\n", ram_bytes >> 20,
         (void *)PAGE_OFFSET, free_frames, lguest_data.reserve_mem / 1024);
}

/* Physical address of a frame with unspecified contents, 0 when there is none. */
u32 frame_alloc(void) {
  u32 frame = first_free;
  if (frame) {
    first_free = next_free[frame];
    references[frame] = 1;
    free_frames--;
  }
  return frame * PAGE_SIZE;
}

void frame_free(u32 phys) {
  u32 frame = phys / PAGE_SIZE;
  if (--references[frame])
    return;
  next_free[frame] = first_free;
  first_free = frame;
  free_frames++;
}

static u32 *table_of(u32 directory, u32 address) {
  u32 entry = ((u32 *)to_virt(directory))[address >> 22];
  return entry & PTE_P ? to_virt(entry & PAGE_MASK) : NULL;
}

/* Every directory shares the kernel's half; it never changes after mm_init, so copying it once is enough. */
u32 directory_create(void) {
  u32 directory = frame_alloc();
  if (directory) {
    u32 *slots = to_virt(directory);
    memset(slots, 0, KERNEL_SLOT * 4);
    memcpy(slots + KERNEL_SLOT, kernel_directory + KERNEL_SLOT, (1024 - KERNEL_SLOT) * 4);
  }
  return directory;
}

void directory_destroy(struct process *process) {
  u32 *slots = to_virt(process->directory);
  for (u32 slot = 0; slot < KERNEL_SLOT; slot++) {
    if (!(slots[slot] & PTE_P))
      continue;
    u32 *table = to_virt(slots[slot] & PAGE_MASK);
    for (u32 i = 0; i < 1024; i++)
      if (table[i] & PTE_P)
        frame_free(table[i] & PAGE_MASK);
    slots[slot] = 0;
    hcall_later(LHCALL_SET_PGD, process->directory, slot, 0);
    frame_free(to_phys(table));
  }
  hcall0(LHCALL_FLUSH_ASYNC);
  frame_free(process->directory);
  process->directory = 0;
}

/* Puts one page into a process's tables, and tells the Host. */
static int map_page(struct process *process, u32 address, u32 entry) {
  u32 *slot = (u32 *)to_virt(process->directory) + (address >> 22);
  if (!(*slot & PTE_P)) {
    u32 table = frame_alloc();
    if (!table)
      return 0;
    memset(to_virt(table), 0, PAGE_SIZE);
    *slot = table | USER_PDE;
    hcall_later(LHCALL_SET_PGD, process->directory, address >> 22, 0);
  }
  table_of(process->directory, address)[address >> 12 & 1023] = entry;
  hcall3(LHCALL_SET_PTE, process->directory, address & PAGE_MASK, entry);
  return 1;
}

/* fork: both sides keep every page; writable ones become read-only until somebody writes. */
void directory_copy(struct process *from, struct process *to) {
  u32 *slots = to_virt(from->directory);
  u32 *copies = to_virt(to->directory);
  for (u32 slot = 0; slot < KERNEL_SLOT; slot++) {
    if (!(slots[slot] & PTE_P))
      continue;
    u32 *table = to_virt(slots[slot] & PAGE_MASK);
    u32 copy = frame_alloc();
    if (!copy)
      panic("out of memory in fork");
    for (u32 i = 0; i < 1024; i++) {
      if (table[i] & PTE_P) {
        table[i] &= ~PTE_RW;
        references[table[i] / PAGE_SIZE]++;
      }
      ((u32 *)to_virt(copy))[i] = table[i];
    }
    copies[slot] = copy | USER_PDE;
  }
  hcall1(LHCALL_FLUSH_TLB, 0);
}

void user_unmap(struct process *process, u32 start, u32 end) {
  for (u32 address = start; address < end; address += PAGE_SIZE) {
    u32 *table = table_of(process->directory, address);
    if (!table) {
      address |= 0x3ff000;
      continue;
    }
    u32 *entry = &table[address >> 12 & 1023];
    if (*entry & PTE_P) {
      frame_free(*entry & PAGE_MASK);
      process->pages--;
    }
    *entry = 0;
  }
  hcall1(LHCALL_FLUSH_TLB, 0);
}

static struct region *region_at(struct process *process, u32 address) {
  for (u32 i = 0; i < REGIONS; i++)
    if (address >= process->regions[i].start && address < process->regions[i].end)
      return &process->regions[i];
  return NULL;
}

/* A write to a shared page: take it over when nobody else has it any more, else copy it. */
static int break_sharing(struct process *process, u32 address) {
  u32 *entry = &table_of(process->directory, address)[address >> 12 & 1023];
  u32 old = *entry & PAGE_MASK;
  u32 frame = old;
  if (references[old / PAGE_SIZE] > 1) {
    frame = frame_alloc();
    if (!frame)
      return 0;
    memcpy(to_virt(frame), to_virt(old), PAGE_SIZE);
    frame_free(old);
  }
  process->cow_breaks++;
  return map_page(process, address, frame | PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D);
}

/* First touch of a page: read-only image pages are mapped where they lie, everything else gets a frame of its own. */
static int fill_page(struct process *process, struct region *region, u32 address) {
  u32 page = address & PAGE_MASK;
  u32 offset = page - region->start;
  process->pages++;
  if (region->image && !region->writable) {
    u32 frame = to_phys(region->image + offset);
    references[frame / PAGE_SIZE]++;
    return map_page(process, page, frame | PTE_P | PTE_US | PTE_A);
  }
  u32 frame = frame_alloc();
  if (!frame)
    return 0;
  u32 filled = 0;
  if (region->image && offset < region->image_bytes) {
    filled = region->image_bytes - offset;
    if (filled > PAGE_SIZE)
      filled = PAGE_SIZE;
    memcpy(to_virt(frame), region->image + offset, filled);
  }
  memset((u8 *)to_virt(frame) + filled, 0, PAGE_SIZE - filled);
  return map_page(process, page, frame | PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D);
}

/* Resolves a fault at a user address; 0 when the process had no right to the access. */
int user_fault(struct process *process, u32 address, u32 error) {
  struct region *region = region_at(process, address);
  process->faults++;
  if (!region || ((error & PFERR_WRITE) && !region->writable))
    return 0;
  if (!(error & PFERR_PRESENT))
    return fill_page(process, region, address);
  return (error & PFERR_WRITE) ? break_sharing(process, address) : 0;
}

/* Makes user pages fit for the kernel to touch, so that the kernel itself never faults. */
static int user_prepare(struct process *process, u32 address, u32 bytes, u32 error) {
  u32 end = address + bytes;
  if (end < address || end > PAGE_OFFSET)
    return 0;
  for (u32 page = address & PAGE_MASK; page < end; page += PAGE_SIZE) {
    u32 *table = table_of(process->directory, page);
    u32 entry = table ? table[page >> 12 & 1023] : 0;
    if (!(entry & PTE_P)) {
      if (!user_fault(process, page < address ? address : page, error))
        return 0;
    } else if ((error & PFERR_WRITE) && !(entry & PTE_RW)) {
      if (!user_fault(process, page < address ? address : page, error | PFERR_PRESENT))
        return 0;
    }
  }
  return 1;
}

int user_readable(struct process *process, u32 address, u32 bytes) {
  return user_prepare(process, address, bytes, PFERR_USER);
}

int user_writable(struct process *process, u32 address, u32 bytes) {
  return user_prepare(process, address, bytes, PFERR_USER | PFERR_WRITE);
}
