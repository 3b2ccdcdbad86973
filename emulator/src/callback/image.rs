//! What `${imageInfo.*}` stands for: size and format, read from the first bytes of the object.

use imagesize::ImageType;

/// Size and format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageFacts {
    pub width: u64,
    pub height: u64,
    /// As OSS prints it: lowercase, `jpg` rather than `jpeg`.
    pub format: &'static str,
}

/// Reads the head of an object, or `None` for what is none of the formats that OSS reads: JPG, PNG, BMP,
/// GIF, WebP, TIFF and HEIC. (OSS, Callback)
pub(super) fn read(head: &[u8]) -> Option<ImageFacts> {
    let format = match imagesize::image_type(head).ok()? {
        ImageType::Bmp => "bmp",
        ImageType::Gif => "gif",
        ImageType::Heif(_) => "heic",
        ImageType::Jpeg => "jpg",
        ImageType::Png => "png",
        ImageType::Tiff => "tiff",
        ImageType::Webp => "webp",
        _ => return None,
    };
    let size = imagesize::blob_size(head).ok()?;
    Some(ImageFacts {
        width: u64::try_from(size.width).ok()?,
        height: u64::try_from(size.height).ok()?,
        format,
    })
}

#[cfg(test)]
pub(super) mod samples {
    //! The smallest headers from which width and height can be read.

    pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    pub(crate) fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        bytes.extend(b"\xff\xc0\0\x11\x08");
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend(b"\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9");
        bytes
    }

    pub(crate) fn gif(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"GIF89a".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend([0, 0, 0, 0x3b]);
        bytes
    }

    pub(crate) fn bmp(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend([1, 0, 24, 0]);
        bytes.extend([0; 24]);
        bytes
    }

    pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
        bytes.extend(&(width - 1).to_le_bytes()[..3]);
        bytes.extend(&(height - 1).to_le_bytes()[..3]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_height_and_format_come_from_the_header() {
        for (bytes, format) in [
            (samples::png(810, 539), "png"),
            (samples::jpeg(810, 539), "jpg"),
            (samples::gif(810, 539), "gif"),
            (samples::bmp(810, 539), "bmp"),
            (samples::webp(810, 539), "webp"),
        ] {
            assert_eq!(read(&bytes), Some(ImageFacts { width: 810, height: 539, format }), "{format}");
        }
    }

    #[test]
    fn what_is_no_image_or_is_cut_short_has_no_size() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"Hello OSS"), None);
        assert_eq!(read(b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x10\0\0\0\x10\0\x08\0\x03"), None);
        for sample in [samples::png(1, 1), samples::jpeg(1, 1), samples::webp(1, 1)] {
            for end in 0..16 {
                assert_eq!(read(&sample[..end]), None, "{sample:?} cut at {end}");
            }
        }
    }
}
