/* Requests are single frames; answers may be longer. Everything else of ISO-TP is refused or ignored. */
#include "uds.h"

#include <stddef.h>

#define TESTER 0xf1u
#define FUNCTIONAL 0x18db33f1u
#define PADDING 0xccu

#define POSITIVE 0x40u
#define NEGATIVE 0x7fu
#define SUPPRESS 0x80u
#define NRC_SERVICE_NOT_SUPPORTED 0x11u
#define NRC_SUB_FUNCTION_NOT_SUPPORTED 0x12u
#define NRC_INCORRECT_LENGTH 0x13u
#define NRC_OUT_OF_RANGE 0x31u
#define NRC_RESPONSE_PENDING 0x78u

/* P2 for requests of 7 bytes on the slowest bus, P2* in units of 10 ms. */
#define P2_MS 54u
#define P2_STAR_10MS 500u
#define S3_MS 5000u
#define N_BS_MS 1000u
#define WAITS_MAX 16u

static struct anchorage_app *application;
static const char *version_text;
static uint8_t node;
static uint8_t session;
static uint32_t session_since_ms;
static enum uds_wish wish;

static struct {
    uint8_t bytes[256];
    uint32_t length;
    uint32_t sent; /* equal to length: nothing is being sent */
    uint32_t waits;
    uint32_t since_ms;
    uint32_t due_ms;
    uint8_t sequence;
    uint8_t gap_ms;
    uint8_t block; /* frames until the next flow control, 0: no end */
    bool waits_for_flow;
    bool is_bounded;
} answer;

static void send(const uint8_t *bytes, uint32_t length)
{
    uint8_t data[8];
    for (uint32_t index = 0; index < 8; index++) {
        data[index] = index < length ? bytes[index] : PADDING;
    }
    can_send(0x18da0000u | TESTER << 8 | node, data);
}

/* Begins to send what is in `answer`. */
static void begin(void)
{
    uint8_t frame[8];
    uint32_t length = answer.length;
    if (length <= 7) {
        frame[0] = (uint8_t)length;
        for (uint32_t index = 0; index < length; index++) {
            frame[1 + index] = answer.bytes[index];
        }
        answer.sent = length;
        send(frame, 1 + length);
        return;
    }
    frame[0] = (uint8_t)(0x10u | length >> 8);
    frame[1] = (uint8_t)length;
    for (uint32_t index = 0; index < 6; index++) {
        frame[2 + index] = answer.bytes[index];
    }
    answer.sent = 6;
    answer.sequence = 1;
    answer.waits = 0;
    answer.waits_for_flow = true;
    answer.since_ms = board_now_ms();
    send(frame, 8);
}

static void put(uint8_t byte)
{
    if (answer.length < sizeof answer.bytes) {
        answer.bytes[answer.length++] = byte;
    }
}

static void refuse(uint8_t service, uint8_t code)
{
    const uint8_t frame[4] = { 3, NEGATIVE, service, code };
    send(frame, sizeof frame);
}

static void put_all(const uint8_t *bytes, uint32_t length)
{
    for (uint32_t index = 0; index < length; index++) {
        put(bytes[index]);
    }
}

static void put_text(const char *text)
{
    while (*text != 0) {
        put((uint8_t)*text++);
    }
}

/* Appends the content of a data identifier; false if there is none. */
static bool put_identifier(uint32_t identifier)
{
    struct anchorage_identity identity;
    uint8_t record[ANCHORAGE_STATE_RECORD_LENGTH];
    put((uint8_t)(identifier >> 8));
    put((uint8_t)identifier);
    switch (identifier) {
    case 0xf186:
        put(session);
        return true;
    case 0xf195:
        put_text(version_text);
        return true;
    case 0xf18c:
        (void)anchorage_app_identity(application, &identity);
        put_text(identity.serial);
        return true;
    case 0xfd00:
        if (anchorage_app_state_record(application, UDS_MAX_REQUEST, record) != ANCHORAGE_OK) {
            return false;
        }
        put_all(record, sizeof record);
        return true;
    case 0xfd01:
        (void)anchorage_app_identity(application, &identity);
        put_all(identity.vendor, 16);
        put_all(identity.class_id, 16);
        put_all(identity.device, 16);
        return true;
    default:
        return false;
    }
}

static uint8_t read_identifiers(const uint8_t *request, uint32_t length)
{
    if (length < 3 || length % 2 == 0) {
        return NRC_INCORRECT_LENGTH;
    }
    put(0x22 + POSITIVE);
    for (uint32_t index = 1; index < length; index += 2) {
        if (!put_identifier((uint32_t)request[index] << 8 | request[index + 1])) {
            return NRC_OUT_OF_RANGE;
        }
    }
    return 0;
}

static uint8_t change_session(uint8_t to)
{
    if (to == 2) {
        wish = UDS_LOADER;
        return NRC_RESPONSE_PENDING; /* the loader answers */
    }
    if (to != 1 && to != 3) {
        return NRC_SUB_FUNCTION_NOT_SUPPORTED;
    }
    session = to;
    put(0x10 + POSITIVE);
    put(to);
    put((uint8_t)(P2_MS >> 8));
    put((uint8_t)P2_MS);
    put((uint8_t)(P2_STAR_10MS >> 8));
    put((uint8_t)P2_STAR_10MS);
    return 0;
}

/* 0, or why it is refused. */
static uint8_t serve(const uint8_t *request, uint32_t length, bool is_functional)
{
    uint8_t service = request[0];
    uint8_t function = length > 1 ? request[1] & (uint8_t)~SUPPRESS : 0;
    if (service == 0x22) {
        return read_identifiers(request, length);
    }
    if (service != 0x3e && (is_functional || (service != 0x10 && service != 0x11))) {
        return NRC_SERVICE_NOT_SUPPORTED;
    }
    if (length != 2) {
        return NRC_INCORRECT_LENGTH;
    }
    if (service == 0x10) {
        return change_session(function);
    }
    if (function != (service == 0x11 ? 1 : 0)) {
        return NRC_SUB_FUNCTION_NOT_SUPPORTED;
    }
    if (service == 0x11) {
        wish = UDS_RESET;
    }
    put((uint8_t)(service + POSITIVE));
    put(function);
    return 0;
}

static void request(const uint8_t *bytes, uint32_t length, bool is_functional)
{
    uint8_t refusal;
    session_since_ms = board_now_ms();
    answer.length = 0;
    answer.sent = 0;
    answer.waits_for_flow = false;
    refusal = serve(bytes, length, is_functional);
    if (refusal != 0) {
        answer.length = 0;
        if (!is_functional) {
            refuse(bytes[0], refusal);
        }
    } else if (bytes[0] != 0x22 && (bytes[1] & SUPPRESS) != 0) {
        answer.length = 0;
    } else {
        begin();
    }
}

static void flow_control(const uint8_t data[8])
{
    if (!answer.waits_for_flow) {
        return;
    }
    answer.since_ms = board_now_ms();
    switch (data[0]) {
    case 0x30:
        answer.waits_for_flow = false;
        answer.is_bounded = data[1] != 0;
        answer.block = data[1];
        /* Tenths of a millisecond count as one; a reserved time as the longest. */
        answer.gap_ms = data[2] <= 0x7f ? data[2] : data[2] >= 0xf1 && data[2] <= 0xf9 ? 1 : 0x7f;
        answer.due_ms = board_now_ms();
        break;
    case 0x31:
        if (++answer.waits > WAITS_MAX) {
            answer.sent = answer.length;
            answer.waits_for_flow = false;
        }
        break;
    default:
        answer.sent = answer.length;
        answer.waits_for_flow = false;
        break;
    }
}

void uds_frame(const struct can_frame *frame)
{
    bool is_functional = frame->id == FUNCTIONAL;
    uint32_t length = frame->data[0] & 15u;
    if ((!is_functional && frame->id != (0x18da0000u | (uint32_t)node << 8 | TESTER)) || frame->length == 0) {
        return;
    }
    /* About to reset: only the answer to that is still sent. */
    if (wish != UDS_NOTHING && frame->data[0] >> 4 != 3) {
        return;
    }
    switch (frame->data[0] >> 4) {
    case 0:
        if (length > 0 && length < frame->length) {
            request(frame->data + 1, length, is_functional);
        }
        break;
    case 1:
        if (!is_functional && frame->length == 8) {
            const uint8_t overflow[3] = { 0x32, 0, 0 };
            send(overflow, sizeof overflow);
        }
        break;
    case 3:
        if (!is_functional && frame->length >= 3) {
            flow_control(frame->data);
        }
        break;
    default:
        break;
    }
}

static void consecutive_frame(void)
{
    uint8_t frame[8];
    uint32_t length = 1;
    frame[0] = (uint8_t)(0x20u | answer.sequence);
    answer.sequence = (answer.sequence + 1) & 15;
    while (length < 8 && answer.sent < answer.length) {
        frame[length++] = answer.bytes[answer.sent++];
    }
    send(frame, length);
}

enum uds_wish uds_poll(void)
{
    uint32_t now_ms = board_now_ms();
    if (answer.waits_for_flow && now_ms - answer.since_ms > N_BS_MS) {
        answer.waits_for_flow = false;
        answer.sent = answer.length;
    }
    while (answer.sent < answer.length && !answer.waits_for_flow && (int32_t)(now_ms - answer.due_ms) >= 0) {
        consecutive_frame();
        /* The clock has steps: one more than is asked for is never too short. */
        answer.due_ms = answer.gap_ms == 0 ? now_ms : now_ms + answer.gap_ms + 10;
        if (answer.is_bounded && --answer.block == 0 && answer.sent < answer.length) {
            answer.waits_for_flow = true;
            answer.since_ms = now_ms;
        }
    }
    if (session != 1 && now_ms - session_since_ms > S3_MS) {
        session = 1;
    }
    return answer.sent < answer.length ? UDS_NOTHING : wish;
}

void uds_start(struct anchorage_app *app, const char *version)
{
    struct anchorage_identity identity;
    application = app;
    version_text = version;
    session = 1;
    node = 0x10;
    if (anchorage_app_identity(app, &identity) == ANCHORAGE_OK) {
        node = identity.node_address;
    }
}
