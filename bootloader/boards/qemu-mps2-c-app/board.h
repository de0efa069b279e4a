/* QEMU's mps2-an386 for an application in C: what main.c and uds.c need of it. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "anchorage_app.h"

struct can_frame {
    uint32_t id; /* 29 bits */
    uint8_t length;
    uint8_t data[8];
};

/* Brings up clock, CAN controller and flash; false if one of them is not there. */
bool board_start(void);
/* Feeds the watchdog, sleeps until something may have happened, and keeps the time. */
void board_wait(void);
/* Milliseconds since the start, in steps of 10. */
uint32_t board_now_ms(void);
/* Resets the core, after every frame has left. */
_Noreturn void board_reset(void);

/* The next frame with a 29-bit identifier. */
bool can_receive(struct can_frame *frame);
/* Sends a frame of 8 bytes. */
void can_send(uint32_t id, const uint8_t data[8]);

/* The flash as the library takes it. */
extern const struct anchorage_flash BOARD_FLASH;

#endif
