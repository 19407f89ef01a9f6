/* Device registers behind BAR 0: status and feature words by loads and stores of 1, 2 and 4 bytes, and a reset by status 0. */
#include "test.h"

#define WINDOW 0x40000000u

static u8 read8(u32 at) { return *(volatile u8 *)(WINDOW + at); }
static u16 read16(u32 at) { return *(volatile u16 *)(WINDOW + at); }
static void write8(u32 at, u8 value) { *(volatile u8 *)(WINDOW + at) = value; }
static void write16(u32 at, u16 value) { *(volatile u16 *)(WINDOW + at) = value; }

void test_main(void) {
  setup();
  port_out(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ENABLE | 1u << 11 | PCI_BASE_ADDRESS_0);
  u32 bar = port_in(PCI_CONFIG_DATA_PORT) & ~15u;
  map(first_directory, WINDOW, bar & PAGE_MASK, KERNEL_FLAGS);
  u32 base = bar & ~PAGE_MASK;
  write8(base + VIRTIO_COMMON_STATUS, 0);
  check_equal("status after a reset", read8(base + VIRTIO_COMMON_STATUS), 0);
  write8(base + VIRTIO_COMMON_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
  write8(base + VIRTIO_COMMON_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
  check_equal("status", read8(base + VIRTIO_COMMON_STATUS), VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
  poke(WINDOW + base + VIRTIO_COMMON_DFSELECT, 1);
  check_equal("features 32-63", peek(WINDOW + base + VIRTIO_COMMON_DF) & 1, 1);
  poke(WINDOW + base + VIRTIO_COMMON_DFSELECT, 0);
  check_equal("emergency write offered", peek(WINDOW + base + VIRTIO_COMMON_DF) >> VIRTIO_CONSOLE_F_EMERG_WRITE & 1, 1);
  check_equal("queues", read16(base + VIRTIO_COMMON_NUMQ), 2);
  write16(base + VIRTIO_COMMON_Q_SELECT, 1);
  check_equal("the queue selected", read16(base + VIRTIO_COMMON_Q_SELECT), 1);
  check_equal("its size", read16(base + VIRTIO_COMMON_Q_SIZE), 256);
  write16(base + VIRTIO_COMMON_Q_SELECT, 7);
  check_equal("the size of a queue that is not there", read16(base + VIRTIO_COMMON_Q_SIZE), 0);
  write8(base + VIRTIO_COMMON_STATUS, 0);
  check_equal("status after another reset", read8(base + VIRTIO_COMMON_STATUS), 0);
}
