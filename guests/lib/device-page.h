/* The console on the descriptor page, as little of a driver as the tests need. Old variety only. */
#ifndef DEVICE_PAGE_H
#define DEVICE_PAGE_H

#include "types.h"
#include "vring.h"

struct page_device {
  u8 type, queues, feature_bytes, config_bytes;
  volatile u8 status;
  struct __attribute__((packed)) {
    u16 entries, irq;
    u32 page;
  } queue[];
} __attribute__((packed));

struct page_console {
  struct page_device *device;
  struct vring out;
  u32 out_address, in_irq, out_irq;
};

/* The first device of a virtio type; ends the test when there is none. */
struct page_device *page_device_find(u8 type);

/* Resets a device and brings it up to DRIVER_OK, accepting no features. */
void page_device_start(struct page_device *device);

/* Finds the console's descriptor; ends the test when there is none. */
void console_find(struct page_console *console);

/* Resets it and brings it up to DRIVER_OK. */
void console_start(struct page_console *console);

/* Sends a text through the output ring; 0 when the device did not use it in reasonable time. */
int console_send(struct page_console *console, const char *text);

#endif
