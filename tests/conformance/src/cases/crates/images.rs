//! Image codecs.

use std::io::Cursor;

use crate::suite::Suite;
use crate::values::Generator;

/// A small picture with areas, gradients and noise.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let mut generator = Generator::new(5);
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            pixels.extend(match (x / 8 + y / 8) % 3 {
                0 => [200, 30, 90],
                1 => [(x * 7) as u8, (y * 5) as u8, 128],
                _ => [generator.bits() as u8, generator.bits() as u8, 7],
            });
        }
    }
    pixels
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/png_decode", |t| {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 40, 30);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("a header");
        writer
            .write_image_data(&picture(40, 30))
            .expect("the right size");
        writer.finish().expect("writing to memory");
        t.shared::<3700, _, _>(
            |file: &[u8], item| {
                let end = file.len() - 40 * item;
                let decoded = png::Decoder::new(Cursor::new(&file[..end]))
                    .read_info()
                    .and_then(|mut reader| {
                        let mut pixels = vec![0; reader.output_buffer_size().unwrap_or(0)];
                        reader.next_frame(&mut pixels).map(|_| pixels)
                    });
                decoded.unwrap_or_else(|error| error.to_string().into_bytes())
            },
            &file,
            3,
        )
    });
    suite.case("crates/png_encode", |t| {
        t.shared::<1000, _, _>(
            |pixels: &[u8], item| {
                let mut file = Vec::new();
                let mut encoder = png::Encoder::new(&mut file, 8, 8 + item as u32);
                encoder.set_color(png::ColorType::Rgb);
                let mut writer = encoder.write_header().expect("a header");
                writer
                    .write_image_data(&pixels[..8 * (8 + item) * 3])
                    .expect("the right size");
                writer.finish().expect("writing to memory");
                file
            },
            &picture(8, 16),
            3,
        )
    });
    suite.case("crates/qoi", |t| {
        t.shared::<6000, _, _>(
            |pixels: &[u8], item| {
                let height = 20 + item as u32;
                let packed = qoi::encode_to_vec(&pixels[..40 * height as usize * 3], 40, height)
                    .expect("fits");
                let (header, unpacked) = qoi::decode_to_vec(&packed).expect("decodes");
                let mut out = packed;
                out.extend(unpacked.iter().step_by(5));
                out.push(header.height as u8);
                out
            },
            &picture(40, 30),
            4,
        )
    });
}
