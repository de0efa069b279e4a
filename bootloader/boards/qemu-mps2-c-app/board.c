/* The hardware of QEMU's mps2-an386 (docs/boards.md): UART 0 is the CAN controller and speaks slcan, PSRAM is the flash. */
#include "board.h"

#include <stddef.h>

#include "anchorage_layout.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* CMSDK UART 0 (AN386, memory map). */
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_INTCLEAR REGISTER(0x4000400cu)
#define UART_BAUDDIV REGISTER(0x40004010u)
#define UART_TX_FULL 1u
#define UART_RX_FULL 2u
/* Transmitter, receiver, and the interrupt of the receiver. */
#define UART_ENABLE 0xbu

/* CMSDK watchdog: the loader has started it. */
#define WATCHDOG_INTCLR REGISTER(0x4000800cu)
#define WATCHDOG_LOCK REGISTER(0x40008c00u)
#define WATCHDOG_UNLOCK 0x1acce551u

/* Armv7-M: SysTick, NVIC, system control block. */
#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_CVR REGISTER(0xe000e018u)
#define NVIC_ISER0 REGISTER(0xe000e100u)
#define NVIC_ICPR0 REGISTER(0xe000e280u)
#define SCB_ICSR REGISTER(0xe000ed04u)
#define SCB_AIRCR REGISTER(0xe000ed0cu)
#define ICSR_PENDSTSET (1u << 26)
#define ICSR_PENDSTCLR (1u << 25)

#define TICK_MS 10u
/* SysTick counts the board's reference of 1 MHz. */
#define TICK_RELOAD (TICK_MS * 1000u - 1u)

static uint32_t now_ms;

static void feed_watchdog(void)
{
    WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    WATCHDOG_INTCLR = 1;
    WATCHDOG_LOCK = 0;
}

/* Interrupts stay masked: `wfi` returns when one is pending, and no code runs behind the main loop's back. */
bool board_start(void)
{
    __asm volatile("cpsid i" ::: "memory");
    UART_BAUDDIV = 16;
    UART_CTRL = UART_ENABLE;
    SYST_RVR = TICK_RELOAD;
    SYST_CVR = 0;
    SYST_CSR = 3; /* reference clock, interrupt, on */
    NVIC_ISER0 = 1; /* UART 0, receive */
    feed_watchdog();
    return UART_BAUDDIV == 16 && UART_CTRL == UART_ENABLE;
}

void board_wait(void)
{
    feed_watchdog();
    __asm volatile("dsb\n wfi" ::: "memory");
    UART_INTCLEAR = 2;
    NVIC_ICPR0 = 1;
    if ((SCB_ICSR & ICSR_PENDSTSET) != 0) {
        SCB_ICSR = ICSR_PENDSTCLR;
        now_ms += TICK_MS;
    }
}

uint32_t board_now_ms(void)
{
    return now_ms;
}

_Noreturn void board_reset(void)
{
    while ((UART_STATE & UART_TX_FULL) != 0) {
    }
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = 0x05fa0004u; /* key, SYSRESETREQ */
    for (;;) {
        __asm volatile("dsb" ::: "memory");
    }
}

/* slcan: a frame is a line, `T`, 8 digits of the identifier, a digit of the length, two digits a byte, CR. */

#define LINE_LENGTH 27u

static char line[LINE_LENGTH];
static uint32_t line_length;

static int digit(char character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'A' && character <= 'F') {
        return character - 'A' + 10;
    }
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* The number that so many digits make. */
static bool number(const char *digits, uint32_t count, uint32_t *value)
{
    *value = 0;
    for (uint32_t index = 0; index < count; index++) {
        int found = digit(digits[index]);
        if (found < 0) {
            return false;
        }
        *value = *value << 4 | (uint32_t)found;
    }
    return true;
}

static bool parse(struct can_frame *frame)
{
    uint32_t value;
    if (line_length < 10 || line[0] != 'T' || !number(line + 1, 8, &frame->id) || !number(line + 9, 1, &value)) {
        return false;
    }
    if (value > 8 || line_length != 10 + 2 * value) {
        return false;
    }
    frame->length = (uint8_t)value;
    for (uint32_t index = 0; index < frame->length; index++) {
        if (!number(line + 10 + 2 * index, 2, &value)) {
            return false;
        }
        frame->data[index] = (uint8_t)value;
    }
    return true;
}

bool can_receive(struct can_frame *frame)
{
    while ((UART_STATE & UART_RX_FULL) != 0) {
        char byte = (char)UART_DATA;
        if (byte == '\r' || byte == '\a') {
            bool is_frame = byte == '\r' && line_length <= LINE_LENGTH && parse(frame);
            line_length = 0;
            if (is_frame) {
                return true;
            }
        } else if (line_length < LINE_LENGTH) {
            line[line_length++] = byte;
        } else {
            line_length = LINE_LENGTH + 1; /* too long: no frame of ours */
        }
    }
    return false;
}

static void put(char character)
{
    while ((UART_STATE & UART_TX_FULL) != 0) {
        feed_watchdog();
    }
    UART_DATA = (uint8_t)character;
}

static void put_number(uint32_t value, uint32_t digits)
{
    while (digits-- > 0) {
        put("0123456789ABCDEF"[value >> 4 * digits & 15]);
    }
}

void can_send(uint32_t id, const uint8_t data[8])
{
    put('T');
    put_number(id, 8);
    put('8');
    for (uint32_t index = 0; index < 8; index++) {
        put_number(data[index], 2);
    }
    put('\r');
}

/* The flash array (bootloader/boards/flash-array): the bytes, and after them a map with a bit for each word that was
 * programmed since its page was erased. */

#define WORD 8u
#define PAGE 4096u

static const struct anchorage_layout LAYOUT = ANCHORAGE_LAYOUT;

static volatile uint8_t *flash_at(uint32_t offset)
{
    return (volatile uint8_t *)(LAYOUT.base + offset);
}

static uint32_t flash_length(void)
{
    return LAYOUT.slot_b.start + LAYOUT.slot_b.length;
}

static bool is_outside(uint32_t offset, uint32_t length)
{
    return offset > flash_length() || length > flash_length() - offset;
}

static volatile uint8_t *map_at(uint32_t offset)
{
    return flash_at(flash_length() + offset / (8 * WORD));
}

static int flash_read(void *context, uint32_t offset, void *bytes, uint32_t length)
{
    uint8_t *to = (uint8_t *)bytes;
    (void)context;
    if (is_outside(offset, length)) {
        return -1;
    }
    for (uint32_t index = 0; index < length; index++) {
        to[index] = *flash_at(offset + index);
    }
    return 0;
}

static int flash_program(void *context, uint32_t offset, const void *bytes, uint32_t length)
{
    const uint8_t *from = (const uint8_t *)bytes;
    (void)context;
    if (is_outside(offset, length) || (offset | length) % WORD != 0) {
        return -1;
    }
    for (uint32_t done = 0; done < length; done += WORD) {
        uint32_t at = offset + done;
        uint8_t bit = (uint8_t)(1u << at / WORD % 8);
        if ((*map_at(at) & bit) != 0) {
            return -1;
        }
        for (uint32_t index = 0; index < WORD; index++) {
            *flash_at(at + index) = from[done + index];
        }
        *map_at(at) |= bit;
    }
    return 0;
}

static int flash_erase(void *context, uint32_t offset, uint32_t length)
{
    (void)context;
    if (is_outside(offset, length) || (offset | length) % PAGE != 0) {
        return -1;
    }
    feed_watchdog();
    for (uint32_t index = 0; index < length; index++) {
        *flash_at(offset + index) = 0xff;
    }
    for (uint32_t index = 0; index < length; index += 8 * WORD) {
        *map_at(offset + index) = 0;
    }
    return 0;
}

const struct anchorage_flash BOARD_FLASH = { NULL, flash_read, flash_program, flash_erase };
